// Package scenarios holds the networks and demand that ship with the program.
package scenarios

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Files are the scenarios, a folder each: single and davao-corridor.
//
//go:embed single/*.xml davao-corridor/*.xml
var Files embed.FS

// Write writes a scenario's files to a folder, which is made when it does not exist.
func Write(name, dir string) error {
	entries, err := Files.ReadDir(name)
	if err != nil {
		return fmt.Errorf("scenario %s: %w", name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("scenario %s: %w", name, err)
	}
	for _, e := range entries {
		text, err := fs.ReadFile(Files, name+"/"+e.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, e.Name()), text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("scenario %s: %w", name, err)
		}
	}
	return nil
}
