package report

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"time"
)

// The form is the one that CI systems read: the JUnit XML of Apache Ant
// (junit.xsd of windyroad/JUnit-Schema), with the skipped tests and the outer
// element of Jenkins' dialect of it.
type (
	testSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		tally
		Suite testSuite `xml:"testsuite"`
	}
	testSuite struct {
		tally
		Timestamp  string     `xml:"timestamp,attr"` // UTC, without a zone, as the schema wants it
		Hostname   string     `xml:"hostname,attr"`
		Properties []property `xml:"properties>property"`
		Cases      []testCase `xml:"testcase"`
		SystemOut  string     `xml:"system-out"`
		SystemErr  string     `xml:"system-err"`
	}
	tally struct {
		Name     string  `xml:"name,attr"`
		Tests    int     `xml:"tests,attr"`
		Failures int     `xml:"failures,attr"`
		Errors   int     `xml:"errors,attr"`
		Skipped  int     `xml:"skipped,attr"`
		Time     seconds `xml:"time,attr"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	testCase struct {
		ClassName string   `xml:"classname,attr"`
		Name      string   `xml:"name,attr"`
		Time      seconds  `xml:"time,attr"`
		Skipped   *outcome `xml:"skipped"`
		Error     *outcome `xml:"error"`
		Failure   *outcome `xml:"failure"`
	}
	outcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
	seconds float64
)

// MarshalXMLAttr writes milliseconds as decimals.
func (s seconds) MarshalXMLAttr(name xml.Name) (xml.Attr, error) {
	return xml.Attr{Name: name, Value: strconv.FormatFloat(float64(s), 'f', 3, 64)}, nil
}

// JUnit writes the report as JUnit XML. Each check is a test, or when it has
// findings each finding is a failed one; what kept the drill from finding out
// is an error, a waived finding a skipped test. The counts of items, those
// skipped by rule among them, are properties.
func (r Report) JUnit() ([]byte, error) {
	s := testSuite{
		Timestamp:  r.Started.UTC().Format("2006-01-02T15:04:05"),
		Hostname:   "localhost",
		Properties: r.properties(),
		Cases:      unique(r.cases()),
		SystemOut:  Printable(r.Summary),
	}
	s.tally = r.tally(s.Cases)
	b, err := xml.MarshalIndent(testSuites{tally: s.tally, Suite: s}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write report %s as JUnit: %w", r.ID, err)
	}
	return append([]byte(xml.Header), append(b, '\n')...), nil
}

func (r Report) tally(cases []testCase) tally {
	t := tally{Name: Printable("drill of " + r.Backup.Name + " at level " + string(r.Level)), Tests: len(cases), Time: seconds(r.took().Seconds())}
	for _, c := range cases {
		switch {
		case c.Failure != nil:
			t.Failures++
		case c.Error != nil:
			t.Errors++
		case c.Skipped != nil:
			t.Skipped++
		}
	}
	return t
}

// took is never negative: clocks are set back.
func (r Report) took() time.Duration { return max(r.Finished.Sub(r.Started), 0) }

// cases are the checks, then the findings, then what kept the drill from
// finding out, then what was waived.
func (r Report) cases() []testCase {
	var out []testCase
	found := map[string]bool{}
	for _, f := range r.Findings {
		found[f.Check] = true
	}
	for _, c := range r.Checks {
		if found[c.Name] && c.Verdict == Failed {
			continue // its findings say more
		}
		out = append(out, caseOf(c))
	}
	for _, f := range r.Findings {
		out = append(out, f.testCase(func(c *testCase, o *outcome) { c.Failure = o }, "finding", ""))
	}
	for _, f := range r.Environment {
		out = append(out, f.testCase(func(c *testCase, o *outcome) { c.Error = o }, "environment", ""))
	}
	for _, w := range r.Waived {
		out = append(out, w.testCase(func(c *testCase, o *outcome) { c.Skipped = o }, "", "waived: "+w.Reason+": "))
	}
	if r.Verdict == Error {
		// A suite without an error would look green.
		out = append(out, testCase{ClassName: className("drill"), Name: "the drill completed", Error: &outcome{Message: Printable(r.Summary), Type: "environment", Text: Printable(r.Summary)}})
	}
	return out
}

func caseOf(c Check) testCase {
	out := testCase{ClassName: className(c.Name), Name: Printable(c.Name), Time: seconds(c.Seconds)}
	text := Printable(c.Message)
	if c.Output != "" {
		text += "\n" + Printable(c.Output)
	}
	o := &outcome{Message: Printable(c.Message), Type: "check", Text: text}
	switch c.Verdict {
	case Passed:
	case Failed:
		out.Failure = o
	default:
		out.Error = o
	}
	return out
}

func (f Finding) testCase(set func(*testCase, *outcome), kind, prefix string) testCase {
	name := f.Object
	if name == "" {
		name = f.Check
	}
	c := testCase{ClassName: className(f.Check), Name: Printable(name)}
	message := Printable(prefix + f.Message)
	set(&c, &outcome{Message: message, Type: kind, Text: message})
	return c
}

func className(check string) string { return "lifeboat." + Printable(check) }

// unique numbers the tests of the same name: readers take those for one.
func unique(cases []testCase) []testCase {
	seen := map[[2]string]int{}
	for i, c := range cases {
		key := [2]string{c.ClassName, c.Name}
		if seen[key]++; seen[key] > 1 {
			cases[i].Name = fmt.Sprintf("%s (%d)", c.Name, seen[key])
		}
	}
	return cases
}

func (r Report) properties() []property {
	var out []property
	add := func(name string, value any) {
		if s := Printable(fmt.Sprint(value)); s != "" {
			out = append(out, property{Name: Printable(name), Value: s})
		}
	}
	add("drill", r.ID)
	add("policy", r.Policy)
	add("level", r.Level)
	add("verdict", r.Verdict)
	add("backup", r.Backup.Name)
	add("location", r.Backup.Location)
	add("schedule", r.Backup.Schedule)
	add("backup.metadataSha256", r.Backup.MetadataSHA256)
	add("backup.contentsSha256", r.Backup.ContentsSHA256)
	add("versions.lifeboat", r.Versions.Lifeboat)
	add("versions.kubernetes", r.Versions.Kubernetes)
	add("versions.nodeImage", r.Versions.NodeImage)
	i := r.Items
	for _, c := range []counter{
		{"inBackup", i.InBackup}, {"expected", i.Expected}, {"restored", i.Restored}, {"equal", i.Equal},
		{"altered", i.Altered}, {"different", i.Different}, {"missing", i.Missing}, {"skipped", i.Skipped},
	} {
		add("items."+c.Name, c.Count)
	}
	for _, c := range counted(r.Items.SkippedBy) {
		add("items.skippedBy."+c.Name, c.Count)
	}
	for _, c := range counted(r.Changed) {
		add("changed."+c.Name, c.Count)
	}
	for _, s := range r.Stages {
		add("stages."+s.Name+".seconds", strconv.FormatFloat(s.Seconds, 'f', 3, 64))
	}
	return out
}
