// Command verify asks ICS23's own library about the state proofs that `python -m tools.ics23.export` wrote.
//
//	go mod tidy && go run . cases.json
//
// The ProofSpec is the one in the file. It prints a line for each kind of claim and the sum, and fails if the library
// says of any claim anything else than the file does, if it panics, or if there is nothing to judge.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	ics23 "github.com/cosmos/ics23/go"
)

// hexBytes is bytes that stand in the file as hex.
type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) error {
	decoded, err := hex.DecodeString(string(text))
	*b = decoded
	return err
}

// claim says that Value stands under Key in the tree of Root, or nothing where it is nil.
type claim struct {
	Kind  string    `json:"kind"`
	Root  hexBytes  `json:"root"`
	Key   hexBytes  `json:"key"`
	Value *hexBytes `json:"value"`
	Proof hexBytes  `json:"proof"`
	Holds bool      `json:"holds"`
}

type document struct {
	Spec  hexBytes `json:"spec"`
	Cases []claim  `json:"cases"`
}

// count is what the library said of the claims of one kind.
type count struct {
	accepted, refused, wrong int
}

func main() {
	if len(os.Args) != 2 {
		fail("usage: verify cases.json")
	}
	cases, spec := load(os.Args[1])
	marshalled, err := ics23.SmtSpec.Marshal()
	if err != nil {
		fail("the library's SmtSpec: %v", err)
	}
	fmt.Printf("the spec of the file is the library's SmtSpec: %t\n", bytes.Equal(marshalled, cases.Spec))
	if judge(spec, cases.Cases) > 0 {
		os.Exit(1)
	}
}

// load reads the file and the spec in it.
func load(path string) (document, *ics23.ProofSpec) {
	var cases document
	text, err := os.ReadFile(path)
	if err != nil {
		fail("%v", err)
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		fail("%s: %v", path, err)
	}
	var spec ics23.ProofSpec
	if err := spec.Unmarshal(cases.Spec); err != nil {
		fail("the spec: %v", err)
	}
	if spec.LeafSpec == nil || spec.InnerSpec == nil || len(cases.Cases) == 0 {
		fail("%s: no spec, or no cases", path)
	}
	return cases, &spec
}

// judge prints what the library says and returns how many claims it judges otherwise than the file.
func judge(spec *ics23.ProofSpec, claims []claim) int {
	counts := map[string]*count{}
	var kinds []string
	var total, due count
	unreadable := 0
	for number, claim := range claims {
		accepted, err := verify(spec, claim)
		if err != nil {
			unreadable++
		}
		kind, known := counts[claim.Kind]
		if !known {
			kind = &count{}
			counts[claim.Kind] = kind
			kinds = append(kinds, claim.Kind)
		}
		for _, sum := range []*count{kind, &total} {
			sum.add(accepted, claim.Holds)
		}
		due.add(claim.Holds, claim.Holds)
		if accepted != claim.Holds {
			fmt.Printf("case %d, %s: accepted %t, expected %t\n", number, claim.Kind, accepted, claim.Holds)
		}
	}
	for _, name := range kinds {
		kind := counts[name]
		fmt.Printf("%-50s accepted %4d  refused %4d  wrong %d\n", name, kind.accepted, kind.refused, kind.wrong)
	}
	fmt.Printf("refused before they were judged, because they are no message: %d\n", unreadable)
	fmt.Printf("accepted %d of %d, refused %d of %d\n", total.accepted, due.accepted, total.refused, due.refused)
	return total.wrong
}

func (c *count) add(accepted, expected bool) {
	if accepted {
		c.accepted++
	} else {
		c.refused++
	}
	if accepted != expected {
		c.wrong++
	}
}

// verify is the library's answer; an error if the proof is not a message at all. A panic of the library ends the program.
func verify(spec *ics23.ProofSpec, claim claim) (bool, error) {
	var proof ics23.CommitmentProof
	if err := proof.Unmarshal(claim.Proof); err != nil {
		return false, err
	}
	root := ics23.CommitmentRoot(claim.Root)
	if claim.Value == nil {
		return ics23.VerifyNonMembership(spec, root, &proof, claim.Key), nil
	}
	return ics23.VerifyMembership(spec, root, &proof, claim.Key, *claim.Value), nil
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(2)
}
