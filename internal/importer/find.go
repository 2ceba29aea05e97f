package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	episodesSuffix = "_episodes.jsonl"
	stepsSuffix    = "_steps.jsonl"
	summarySuffix  = "_summary.json"
)

// errUnknown is a file that is none of ours.
var errUnknown = errors.New("is not a log: expected <experiment>_episodes.jsonl, _steps.jsonl or _summary.json, a JSON object with training_results, or a file of sumo-rl, RESCO, LibSignal or TensorBoard")

// Find looks for the files that can be imported. A path may be a file, or a folder
// whose files are looked at, not those of its subfolders. A file that is given
// twice is listed once. Files that cannot be read come as errors beside the rest;
// with a wrong Options.Experiment nothing is found.
func Find(paths []string, opt Options) ([]Found, []error) {
	var found []Found
	var errs []error
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			errs = append(errs, hint(err))
		case info.IsDir():
			files, folderErrs := findIn(path)
			if len(files)+len(folderErrs) == 0 && !opt.Follow {
				folderErrs = append(folderErrs, fmt.Errorf("%s: no logs in this folder: expected files named <experiment>_episodes.jsonl, _steps.jsonl or _summary.json, a results file, or files of sumo-rl, RESCO, LibSignal or TensorBoard", path))
			}
			found, errs = append(found, files...), append(errs, folderErrs...)
		default:
			f, err := recognise(path)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			found = append(found, f)
		}
	}
	found = once(found)
	if opt.Follow {
		var unsettled []error
		if found, unsettled = settled(found); len(unsettled) > 0 {
			errs = append(errs, unsettled...)
		}
	}
	if opt.Experiment != "" {
		if err := rename(found, opt.Experiment); err != nil {
			return nil, append(errs, err)
		}
	}
	order := map[Role]int{Results: 0, Episodes: 1, Steps: 2, Summary: 3}
	slices.SortStableFunc(found, func(a, b Found) int {
		return cmp.Or(strings.Compare(a.Experiment, b.Experiment), cmp.Compare(order[a.Role], order[b.Role]), strings.Compare(a.Path, b.Path))
	})
	return found, errs
}

// hint adds to a failed access what to do.
func hint(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: give this user the right to read it", err)
	}
	return err
}

func findIn(folder string) ([]Found, []error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, []error{hint(err)}
	}
	var found []Found
	var errs []error
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		ext := filepath.Ext(path)
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains([]string{".json", ".jsonl", ".csv", ".xml", ".log"}, ext) && !strings.Contains(e.Name(), "tfevents") {
			continue
		}
		// The trips of an episode are read with its metrics.
		if metrics := metricsBeside(path); metrics != "" {
			if _, err := os.Stat(metrics); err == nil {
				continue
			}
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			if err != nil {
				errs = append(errs, hint(err))
			}
			continue
		}
		f, err := recognise(path)
		switch {
		case err == nil:
			found = append(found, f)
		case !errors.Is(err, errUnknown):
			errs = append(errs, err)
		}
	}
	return found, errs
}

// recognise says what a file holds: by its name, or a results file by its content.
func recognise(path string) (Found, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Found{}, hint(err)
	}
	f := Found{Path: path, Size: info.Size()}
	name := filepath.Base(path)
	for suffix, role := range map[string]Role{episodesSuffix: Episodes, stepsSuffix: Steps, summarySuffix: Summary} {
		if prefix, ok := strings.CutSuffix(name, suffix); ok {
			f.Role, f.Experiment = role, prefix
			return f, nil
		}
	}
	if filepath.Ext(name) != ".json" {
		if f.Size == 0 && filepath.Ext(name) != ".jsonl" {
			return Found{}, fmt.Errorf("%s: it %w (the file is empty)", path, errUnknown)
		}
		other, ok, err := recogniseForeign(path, f.Size)
		if err != nil || ok {
			return other, err
		}
		return Found{}, fmt.Errorf("%s: it %w", path, errUnknown)
	}
	if f.Size == 0 {
		return Found{}, fmt.Errorf("%s: %w: the file is empty", path, ErrNothingYet)
	}
	f.Role = Results
	f.Experiment, err = resultsOf(path)
	return f, err
}

// errFound ends the search in a results file.
var errFound = errors.New("found")

// resultsOf returns the experiment's name in a results file, or the file's name
// where it gives none. It reads no further than it must.
func resultsOf(path string) (string, error) {
	d, err := openWhole(path)
	if err != nil {
		return "", hint(err)
	}
	defer d.close()
	experiment, results := "", false
	err = d.each(func(name string) error {
		if experiment != "" && results {
			return errFound
		}
		if _, ok := sections[name]; ok {
			results = true
		}
		v, size, err := d.value(nil, 1<<16)
		if err != nil {
			return err
		}
		if name == "experiment_name" && size == int64(len(v)) {
			experiment, _ = text(v)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		if results {
			return "", err
		}
		return "", fmt.Errorf("%s: it %w (%w)", path, errUnknown, err)
	}
	if !results {
		return "", fmt.Errorf("%s: it %w", path, errUnknown)
	}
	if experiment == "" {
		experiment = strings.TrimSuffix(filepath.Base(path), ".json")
	}
	return experiment, nil
}

// once leaves out files that were found before, under this path or another.
func once(found []Found) []Found {
	var out []Found
	seen := map[string]bool{}
	for _, f := range found {
		real, err := filepath.EvalSymlinks(f.Path)
		if err != nil {
			real = f.Path
		}
		if abs, err := filepath.Abs(real); err == nil {
			real = abs
		}
		if !seen[real] {
			seen[real] = true
			out = append(out, f)
		}
	}
	return out
}

// rename gives the one experiment that was found another name.
func rename(found []Found, name string) error {
	var names []string
	for i := range found {
		names = append(names, found[i].Experiment)
		found[i].Experiment = name
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 1 {
		return fmt.Errorf("--experiment names one experiment, but the paths hold %d (%s): import them one at a time", len(names), strings.Join(names, ", "))
	}
	return nil
}

// settled leaves out what cannot be followed: files that grow and are read whole.
func settled(found []Found) ([]Found, []error) {
	var kept []Found
	var errs []error
	for _, f := range found {
		if f.Role == LibSignal || f.Role == TensorBoard {
			errs = append(errs, fmt.Errorf("%s: files of %s are not followed: import it when the training has ended", f.Path, f.Role))
			continue
		}
		kept = append(kept, f)
	}
	return kept, errs
}
