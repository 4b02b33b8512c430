package cli

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

// errEmpty is the error of a flag that selects something and has an empty value:
// mostly a shell variable that is not set. To ignore it would select everything.
var errEmpty = errors.New("empty value (is a variable not set? Leave the flag out to select without it)")

// ListVar adds a flag that takes names separated by commas, and may be repeated.
// Spaces around a name are ignored; an empty name is an error.
func ListVar(fl *pflag.FlagSet, to *[]string, name, usage string) {
	fl.Var(list{to}, name, usage)
}

type list struct{ to *[]string }

func (l list) Type() string { return "strings" }

func (l list) String() string {
	if l.to == nil {
		return ""
	}
	return strings.Join(*l.to, ",")
}

func (l list) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name == "" {
			return errEmpty
		}
		*l.to = append(*l.to, name)
	}
	return nil
}

// TextVarP adds a flag whose value is not empty and that is given once.
func TextVarP(fl *pflag.FlagSet, to *string, name, shorthand, usage string) {
	fl.VarP(text{to}, name, shorthand, usage)
}

type text struct{ to *string }

func (v text) Type() string { return "string" }

func (v text) String() string {
	if v.to == nil {
		return ""
	}
	return *v.to
}

func (v text) Set(s string) error {
	if *v.to != "" {
		return errors.New("can be given once only")
	}
	if *v.to = strings.TrimSpace(s); *v.to == "" {
		return errEmpty
	}
	return nil
}
