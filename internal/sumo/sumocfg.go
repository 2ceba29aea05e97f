package sumo

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Configuration is what a .sumocfg file says, as far as it is used here. Paths are
// relative to the working folder.
type Configuration struct {
	Net        string
	Routes     []string
	Additional []string
	Begin, End int // s; End is 0 where the file does not say
}

// ReadConfiguration reads a .sumocfg file.
func ReadConfiguration(path string) (Configuration, error) {
	fail := func(err error) (Configuration, error) {
		return Configuration{}, fmt.Errorf("SUMO's configuration %s: %w", path, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Configuration{}, fmt.Errorf("SUMO's configuration: %w", err)
	}
	type value struct {
		Value string `xml:"value,attr"`
	}
	// Options may stand in a group or directly in the root.
	type options struct {
		Net        value `xml:"net-file"`
		Routes     value `xml:"route-files"`
		Additional value `xml:"additional-files"`
		Begin      value `xml:"begin"`
		End        value `xml:"end"`
		Step       value `xml:"step-length"`
	}
	var doc struct {
		XMLName xml.Name
		options
		Input options `xml:"input"`
		Time  options `xml:"time"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return fail(err)
	}
	if n := doc.XMLName.Local; n != "configuration" && n != "sumoConfiguration" {
		return fail(fmt.Errorf("its root is <%s>, not <configuration>", n))
	}
	first := func(of func(options) string) string {
		for _, o := range []options{doc.Input, doc.Time, doc.options} {
			if v := of(o); v != "" {
				return v
			}
		}
		return ""
	}
	files := func(list string) (paths []string) {
		for _, f := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
			if !filepath.IsAbs(f) {
				f = filepath.Join(filepath.Dir(path), f)
			}
			paths = append(paths, f)
		}
		return paths
	}
	c := Configuration{
		Routes:     files(first(func(o options) string { return o.Routes.Value })),
		Additional: files(first(func(o options) string { return o.Additional.Value })),
	}
	nets := files(first(func(o options) string { return o.Net.Value }))
	if len(nets) != 1 {
		return fail(errors.New("it names no network (<net-file value=…>)"))
	}
	c.Net = nets[0]
	if len(c.Routes) == 0 {
		return fail(errors.New("it names no demand (<route-files value=…>)"))
	}
	if step := first(func(o options) string { return o.Step.Value }); step != "" {
		if s, err := strconv.ParseFloat(step, 64); err != nil || s != 1 {
			return fail(fmt.Errorf("its step-length is %s s: only 1 s is supported", step))
		}
	}
	if c.Begin, err = seconds(first(func(o options) string { return o.Begin.Value })); err != nil {
		return fail(fmt.Errorf("begin: %w", err))
	}
	if c.End, err = seconds(first(func(o options) string { return o.End.Value })); err != nil {
		return fail(fmt.Errorf("end: %w", err))
	}
	return c, nil
}

// seconds reads a time as SUMO writes it: seconds, or [days:]hours:minutes:seconds.
func seconds(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	total := 0.0
	parts := strings.Split(s, ":")
	units := []float64{1, 60, 3600, 86400}
	if len(parts) == 2 || len(parts) > 4 {
		return 0, fmt.Errorf("%q is no time: seconds or hours:minutes:seconds", s)
	}
	for i, p := range parts {
		v, err := strconv.ParseFloat(p, 64)
		if err != nil || v < 0 {
			return 0, fmt.Errorf("%q is no time: seconds or hours:minutes:seconds", s)
		}
		total += v * units[len(parts)-1-i]
	}
	return int(total), nil
}
