package main

import (
	"runtime"
	"runtime/debug"
)

// version is set by make build.
var version string

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(a *app) error {
	v := programVersion()
	if a.cli.JSON {
		return a.json(map[string]string{"version": v, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	a.printf("greenwave %s (%s, %s/%s)\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// programVersion is what make build was told, or what go install knows.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}
