package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

const sysResource = "CAP_SYS_RESOURCE"

// spec is a file that runc is going to read.
type spec struct {
	path  string
	whole bool // a container's, of which the process is a part
}

// specification finds the file in runc's arguments: create and run read the
// bundle's config.json, exec reads a process from a file of its own.
func specification(args []string) (spec, bool) {
	at := slices.IndexFunc(args, func(a string) bool { return a == "create" || a == "run" || a == "exec" })
	if at < 0 {
		return spec{}, false
	}
	if args[at] == "exec" {
		path := option(args[at+1:], "process", "p")
		return spec{path: path}, path != ""
	}
	bundle := option(args[at+1:], "bundle", "b")
	return spec{path: filepath.Join(bundle, "config.json"), whole: true}, true
}

// option is the value of an option in the ways that runc takes one: with one
// dash or two, as the next argument or after an equals sign.
func option(args []string, long, short string) string {
	for i, a := range args {
		name, value, equals := strings.Cut(a, "=")
		if !slices.Contains([]string{"--" + long, "-" + long, "--" + short, "-" + short}, name) {
			continue
		}
		if equals {
			return value
		}
		if i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// mend takes out what needs the capability and leaves all other fields as they
// are, known or not.
func (s spec) mend(data []byte) ([]byte, error) {
	if !s.whole {
		return mendProcess(data)
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, err
	}
	if config["process"] == nil {
		return data, nil
	}
	process, err := mendProcess(config["process"])
	if err != nil {
		return nil, err
	}
	config["process"] = process
	return json.Marshal(config)
}

func mendProcess(data []byte) ([]byte, error) {
	var process map[string]json.RawMessage
	if err := json.Unmarshal(data, &process); err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	if raw := process["capabilities"]; raw != nil {
		var sets map[string][]string
		if err := json.Unmarshal(raw, &sets); err != nil {
			return nil, fmt.Errorf("process.capabilities: %w", err)
		}
		for name, set := range sets {
			sets[name] = slices.DeleteFunc(set, func(c string) bool { return c == sysResource })
		}
		mended, err := json.Marshal(sets)
		if err != nil {
			return nil, err
		}
		process["capabilities"] = mended
	}
	if raw := process["oomScoreAdj"]; raw != nil {
		var score int
		if err := json.Unmarshal(raw, &score); err != nil {
			return nil, fmt.Errorf("process.oomScoreAdj: %w", err)
		}
		if score < 0 {
			delete(process, "oomScoreAdj")
		}
	}
	delete(process, "rlimits")
	return json.Marshal(process)
}
