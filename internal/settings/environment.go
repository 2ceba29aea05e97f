package settings

import (
	"fmt"
	"net/url"
	"strings"
)

// env returns a variable, empty when it is not set.
func (in Input) env(name string) string {
	if in.Lookup == nil {
		return ""
	}
	v, _ := in.Lookup(name)
	return v
}

// readEnvironment reads the guide's SUPABASE_ variables.
func readEnvironment(in Input) (parts, error) {
	get := func(name string) part {
		if v := in.env(name); v != "" {
			return part{v, name}
		}
		return part{}
	}
	p := parts{
		host:     get("SUPABASE_HOST"),
		port:     get("SUPABASE_PORT"),
		database: get("SUPABASE_DB"),
		user:     get("SUPABASE_USER"),
		password: get("SUPABASE_PASSWORD"),
	}
	if p.port.value != "" {
		if err := checkPort(p.port.value); err != nil {
			return parts{}, fmt.Errorf("SUPABASE_PORT: %w", err)
		}
	}
	if p.host.value == "" {
		if v := in.env("SUPABASE_URL"); v != "" {
			host, err := hostOfProject(v)
			if err != nil {
				return parts{}, err
			}
			p.host = part{host, "SUPABASE_URL"}
		}
	}
	return p, nil
}

// hostOfProject turns https://PROJECT.supabase.co into the host of its database.
func hostOfProject(v string) (string, error) {
	u, err := url.Parse(v)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		project, ok := strings.CutSuffix(u.Hostname(), ".supabase.co")
		if ok && project != "" && !strings.Contains(project, ".") {
			return "db." + project + ".supabase.co", nil
		}
	}
	return "", fmt.Errorf("SUPABASE_URL: must be https://PROJECT.supabase.co; for another address set SUPABASE_HOST")
}
