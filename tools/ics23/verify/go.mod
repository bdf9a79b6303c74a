module flockchain/tools/ics23/verify

go 1.22

require github.com/cosmos/ics23/go v0.11.0
