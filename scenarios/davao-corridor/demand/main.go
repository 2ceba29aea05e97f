// Command demand writes the route files of the Davao corridor: for each profile of
// the day six files, each drawn with its own seed, so that the demand that trains,
// the one that selects and the one that tests are never the same.
//
//	go run ./scenarios/davao-corridor/demand FOLDER
//
// Its output is the same wherever it runs. It is made up, after the mixture of
// vehicles and the volumes that are usual in Davao; nothing in it was counted.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// filesPerProfile is how many files each profile has.
const filesPerProfile = 6

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demand FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demand:", err)
		os.Exit(1)
	}
}

// write puts all route files into a folder.
func write(folder string) error {
	for p := range profiles {
		for n := 1; n <= filesPerProfile; n++ {
			path := filepath.Join(folder, fileName(profiles[p].name, n))
			var b bytes.Buffer
			d := profiles[p].draw(n)
			d.write(&b)
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func fileName(profile string, n int) string { return fmt.Sprintf("%s-%d.rou.xml", profile, n) }
