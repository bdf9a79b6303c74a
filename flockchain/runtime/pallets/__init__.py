"""The nouns of the state, one file each. `flockchain.runtime.flock` lists them; pallets import no other pallet."""
