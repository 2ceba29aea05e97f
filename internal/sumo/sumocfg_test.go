package sumo

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestConfigurationFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		path := filepath.Join(dir, "a.sumocfg")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	good := Configuration{Net: in("n.net.xml"), Routes: []string{in("a.rou.xml"), "/b.rou.xml"}, Additional: []string{in("stops.xml")}, Begin: 25200, End: 28800}
	for _, text := range []string{
		`<configuration><input><net-file value="n.net.xml"/><route-files value="a.rou.xml, /b.rou.xml"/><additional-files value="stops.xml"/></input><time><begin value="25200"/><end value="8:00:00"/></time></configuration>`,
		`<configuration><net-file value="n.net.xml"/><route-files value="a.rou.xml /b.rou.xml"/><additional-files value="stops.xml"/><begin value="7:00:00"/><end value="28800.0"/><step-length value="1.0"/></configuration>`,
	} {
		got, err := ReadConfiguration(write(text))
		if err != nil || !reflect.DeepEqual(got, good) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	for text, want := range map[string]string{
		`<configuration><input><route-files value="a"/></input></configuration>`: "names no network",
		`<configuration><input><net-file value="a"/></input></configuration>`:    "names no demand",
		`<net/>`:          "its root is <net>",
		`<configuration>`: "EOF",
		`<configuration><net-file value="a"/><route-files value="b"/><begin value="soon"/></configuration>`:      `begin: "soon"`,
		`<configuration><net-file value="a"/><route-files value="b"/><step-length value="0.1"/></configuration>`: "step-length is 0.1",
	} {
		if _, err := ReadConfiguration(write(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "a.sumocfg") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestPublishedConfigurations(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/resco/*/*.sumocfg")
	if len(files) == 0 {
		t.Log("the recorded networks are not here: nothing to read")
	}
	for _, f := range files {
		c, err := ReadConfiguration(f)
		if err != nil || c.End-c.Begin != 3600 {
			t.Errorf("%+v, %v", c, err)
			continue
		}
		n, err := ReadNetwork(c.Net)
		if err != nil {
			t.Error(err)
			continue
		}
		turns, err := n.Volumes(c.Routes, float64(c.Begin), float64(c.End))
		if err != nil || len(turns) < 10 {
			t.Errorf("%s: %d movements, %v", f, len(turns), err)
		}
	}
}
