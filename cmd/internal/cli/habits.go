package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// sameCommands are commands as users of Velero and kubectl type them, with ours. They
// work. The names of the programs are left out.
var sameCommands = map[string]string{
	"get backup":       "backup get",
	"get backups":      "backup get",
	"describe backup":  "backup describe",
	"describe backups": "backup describe",
	"create backup":    "backup create",
	"delete backup":    "backup delete",
	"delete backups":   "backup delete",
	"verify backup":    "backup verify",
	"create restore":   "restore create",
	"backups":          "backup",
	"backup list":      "backup get",
	"backup ls":        "backup get",
	"backup rm":        "backup delete",
	"backup start":     "backup create",
	"restores":         "restore",
	"restore plan":     "plan",
	"plan create":      "plan",
}

// commandAnswers say what to do in place of a command that we do not have.
var commandAnswers = map[string]string{
	"backup logs":          "lifeboat backup describe NAME shows errors and warnings; the log is the file backups/NAME/NAME-logs.gz of the location",
	"backup download":      "the files of a backup are in the location, below backups/NAME/",
	"restore get":          restoreAnswer,
	"restore list":         restoreAnswer,
	"restore describe":     restoreAnswer,
	"restore logs":         restoreAnswer,
	"restore delete":       restoreAnswer,
	"get restore":          restoreAnswer,
	"get restores":         restoreAnswer,
	"describe restore":     restoreAnswer,
	"describe restores":    restoreAnswer,
	"schedule":             scheduleAnswer,
	"schedules":            scheduleAnswer,
	"get schedule":         scheduleAnswer,
	"get schedules":        scheduleAnswer,
	"create schedule":      scheduleAnswer,
	"backup-location":      locationAnswer,
	"snapshot-location":    locationAnswer,
	"get backup-locations": locationAnswer,
	"repo":                 "there is no repository of volume data in this version",
	"install":              "nothing has to be installed in a cluster: lifeboat backup create works from here",
	"uninstall":            "nothing is installed in a cluster",
	"client":               "there is no configuration of the client; $LIFEBOAT_LOCATION is the default of --location",
	"plugin":               "there are no plugins: file:// and s3:// are built in",
	"drill":                "drills are of another program: lifeboat-verifier drill",
	"verify":               "use: lifeboat backup verify NAME --location URL",
}

const (
	restoreAnswer  = "lifeboat restore create prints the result; its log and results are in the location, below restores/NAME/"
	scheduleAnswer = "let cron, a systemd timer or a CronJob run lifeboat backup create with --labels velero.io/schedule-name=NAME"
	locationAnswer = "a location is a URL, given by --location or $LIFEBOAT_LOCATION"
)

// flagHabit is a flag of Velero or kubectl that we do not have.
type flagHabit struct {
	value  bool // it takes one
	answer string
}

var flagHabits = map[string]flagHabit{
	"namespace":                   {true, "there is no namespace of a server here; --include-namespaces selects what is backed up or restored"},
	"n":                           {true, "there is no namespace of a server here; --include-namespaces selects what is backed up or restored"},
	"all-namespaces":              {false, "all namespaces are included unless --include-namespaces says otherwise"},
	"A":                           {false, "all namespaces are included unless --include-namespaces says otherwise"},
	"from-schedule":               {true, "use restore create --from-backup NAME; lifeboat backup get --selector velero.io/schedule-name=NAME lists the backups of a schedule, newest first"},
	"allow-partially-failed":      {false, "a PartiallyFailed backup is restored like any other: --from-backup NAME"},
	"storage-location":            {true, "use --location URL"},
	"backup-location":             {true, "use --location URL"},
	"volume-snapshot-locations":   {true, "data of volumes is not included in this version"},
	"resource-modifier-configmap": {true, "use --resource-modifier-file FILE, which can hold the ConfigMap (kubectl get configmap NAME -o yaml)"},
	"resource-policies-configmap": {true, "data of volumes is not included in this version"},
	"kubecontext":                 {true, "use --context NAME"},
	"dry-run":                     {false, "use lifeboat plan, which shows what a restore would do and changes nothing"},
	"force":                       {false, "use --confirm to be asked nothing"},
	"yes":                         {false, "use --confirm to be asked nothing"},
	"y":                           {false, "use --confirm to be asked nothing"},
	"include":                     {true, "use --include-namespaces or --include-resources"},
	"exclude":                     {true, "use --exclude-namespaces or --exclude-resources"},
	"bucket":                      {true, "use --location s3://BUCKET/PREFIX"},
	"item-operation-timeout":      {true, "there are no operations in the background to wait for"},
	"csi-snapshot-timeout":        {true, "data of volumes is not included in this version"},
	"parallel-files-upload":       {true, "data of volumes is not included in this version"},
	"schedule-name":               {true, "use --labels velero.io/schedule-name=NAME"},
	"server":                      {true, "use --context NAME of a kubeconfig"},
	"insecure-skip-tls-verify":    {false, "certificates are always verified"},
	"show-labels":                 {false, "use --output json"},
	"features":                    {true, "there are no features to turn on"},
}

// unaccustomed puts our commands in place of those that users of other programs type.
// The error names a command that we do not have: before its flags, of which nothing
// can be said.
func unaccustomed(root *cobra.Command, args []string) ([]string, error) {
	if len(args) > 0 && strings.HasPrefix(args[0], "__complete") {
		return args, nil // of a shell
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	c, words := root, wordsOf(root, args)
	for i, at := range words {
		if !c.HasSubCommands() {
			break
		}
		if sub := child(c, args[at]); sub != nil {
			c = sub
			continue
		}
		return other(root, c, args, words, i)
	}
	return args, nil
}

// other is what to do about the unknown command at words[i], which is one of c's.
func other(root, c *cobra.Command, args []string, words []int, i int) ([]string, error) {
	typed := args[words[i]]
	phrase := strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), root.Name()) + " " + typed)
	if root.Name() != "lifeboat" {
		return nil, unknownCommand(c, typed, "")
	}
	if i+1 < len(words) {
		next := " " + args[words[i+1]]
		if ours, ok := sameCommands[phrase+next]; ok {
			return unaccustomed(root, replaced(args, words[:i+2], ours))
		}
		if answer, ok := commandAnswers[phrase+next]; ok {
			return nil, unknownCommand(c, typed+next, answer)
		}
	}
	if ours, ok := sameCommands[phrase]; ok {
		return unaccustomed(root, replaced(args, words[:i+1], ours))
	}
	return nil, unknownCommand(c, typed, commandAnswers[phrase])
}

func unknownCommand(c *cobra.Command, name, answer string) error {
	if answer == "" {
		c.SuggestionsMinimumDistance = 2
		if similar := c.SuggestionsFor(name); len(similar) > 0 {
			answer = "did you mean " + c.CommandPath() + " " + similar[0] + "?"
		}
	}
	if answer == "" {
		return Usage("unknown command %q for %s (see %s --help)", name, c.CommandPath(), c.CommandPath())
	}
	return Usage("unknown command %q for %s: %s", name, c.CommandPath(), answer)
}

// replaced puts words in place of those at the positions.
func replaced(args []string, at []int, words string) []string {
	out := strings.Fields(words)
	for i, a := range args {
		if !slices.Contains(at, i) {
			out = append(out, a)
		}
	}
	return out
}

func child(c *cobra.Command, name string) *cobra.Command {
	for _, sub := range c.Commands() {
		if sub.Name() == name || sub.HasAlias(name) {
			return sub
		}
	}
	return nil
}

// wordsOf are the positions of the arguments that are neither flags nor their values.
func wordsOf(root *cobra.Command, args []string) []int {
	var out []int
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--":
			return out
		case len(a) < 2 || a[0] != '-':
			out = append(out, i)
		case !strings.Contains(a, "=") && takesValue(root, a):
			i++
		}
	}
	return out
}

// takesValue reports whether a flag, of whichever command, takes the next argument.
func takesValue(c *cobra.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	lookup := c.Flags().Lookup
	if !strings.HasPrefix(arg, "--") {
		if name = name[:1]; len(arg) > 2 {
			return false // -ojson
		}
		lookup = c.Flags().ShorthandLookup
	}
	if f := lookup(name); f != nil {
		return f.NoOptDefVal == ""
	}
	for _, sub := range c.Commands() {
		if takesValue(sub, arg) {
			return true
		}
	}
	return flagHabits[name].value
}

// flagError is the answer to flags that are wrong.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return Usage("%w (see %s --help)", err, c.CommandPath())
	}
	if c.HasSubCommands() {
		var names []string
		for _, sub := range c.Commands() {
			names = append(names, sub.Name())
		}
		return Usage("%w: %s needs a command before its flags: %s", err, c.CommandPath(), strings.Join(names, ", "))
	}
	name := unknown.GetSpecifiedName()
	if h, ok := flagHabits[name]; ok {
		return Usage("%w: %s", err, h.answer)
	}
	return Usage("%w (see %s --help)", err, c.CommandPath())
}

// AcceptWait adds the flag --wait of Velero to a command that always waits.
func AcceptWait(c *cobra.Command) {
	only(c, "wait", "w", "true", "the command always waits")
}

// AcceptNoVolumes adds flags of Velero by which people leave out the data of
// volumes, which this version never includes.
func AcceptNoVolumes(c *cobra.Command, names ...string) {
	for _, n := range names {
		only(c, n, "", "false", "data of volumes is not included in this version; each claim and volume is reported")
	}
}

// only adds a hidden flag that has one possible value.
func only(c *cobra.Command, name, short, value, otherwise string) {
	f := c.Flags().VarPF(fixed{value, otherwise}, name, short, "")
	f.NoOptDefVal, f.Hidden = "true", true
}

type fixed struct{ value, otherwise string }

func (f fixed) Type() string   { return "bool" }
func (f fixed) String() string { return f.value }

func (f fixed) Set(s string) error {
	if s != f.value {
		return errors.New(f.otherwise)
	}
	return nil
}
