// Package demo is what "greenwave demo" shows: a small training on the corridor that
// ships with the program, and a recording of that training for machines without
// SUMO.
package demo

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/greenwave-traffic/greenwave/internal/d3qn"
	"github.com/greenwave-traffic/greenwave/internal/trainer"
	"github.com/greenwave-traffic/greenwave/scenarios"
)

// Scenario is the scenario that is trained on.
const Scenario = "davao-corridor"

// Config writes the corridor to a folder and returns a training on it that takes a
// minute or two: a small network, five-minute episodes of the morning.
func Config(dir string, episodes int) (trainer.Config, error) {
	if err := scenarios.Write(Scenario, dir); err != nil {
		return trainer.Config{}, err
	}
	demand := func(numbers ...int) (files []string) {
		for _, n := range numbers {
			files = append(files, filepath.Join(dir, fmt.Sprintf("morning-%d.rou.xml", n)))
		}
		return files
	}
	return trainer.Config{
		Net: filepath.Join(dir, "corridor.net.xml"), Routes: demand(1, 2, 3), Validation: demand(4), Test: demand(5, 6),
		Episodes: episodes, ValidateEvery: max(episodes/6, 2), ValidationSeeds: 2, TestSeeds: []int{1, 2, 3},
		Agent: d3qn.Config{Hidden: []int{64, 64}, EpsilonShare: 0.5},
	}.WithDefaults(), nil
}

// recorded is the journal of such a training; scripts/record-demo makes it.
//
//go:embed recorded.tar.zst
var recorded []byte

// Recorded unpacks the recorded run to a folder of runs and says when it was made.
func Recorded(dir string) (made time.Time, err error) {
	z, err := zstd.NewReader(bytes.NewReader(recorded))
	if err != nil {
		return made, fmt.Errorf("recorded run: %w", err)
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return made, nil
		}
		if err != nil {
			return made, fmt.Errorf("recorded run: %w", err)
		}
		if !filepath.IsLocal(h.Name) {
			return made, fmt.Errorf("recorded run: file %q", h.Name)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return made, fmt.Errorf("recorded run: %w", err)
			}
			continue
		}
		if h.ModTime.After(made) {
			made = h.ModTime
		}
		data, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			return made, fmt.Errorf("recorded run: %w", err)
		}
	}
}
