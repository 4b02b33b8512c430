package location

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// The schemes of a location.
const (
	SchemeFile = "file"
	SchemeS3   = "s3"
)

// ErrInvalid is wrapped by every error of Parse and FromBackupStorageLocation.
var ErrInvalid = errors.New("invalid location")

// bucketRE is the form of a bucket's name, after the rules of Amazon S3 for
// general purpose buckets.
var bucketRE = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// regionRE is wider than AWS's names, for servers that have their own.
var regionRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

const (
	exampleFile = "file:///var/backups/prod"
	exampleS3   = "s3://my-bucket/prod?region=eu-west-1"
	exampleOwn  = "s3://my-bucket/prod?endpoint=https://minio.example:9000"
)

// Parse reads one of
//
//	file:///dir/prefix
//	s3://bucket/prefix?region=R&endpoint=URL&path-style=true|false
//
// in which everything after "?" is optional. It is strict, because backups in a
// misread location are not found: unknown parameters, credentials, relative paths
// and ".." are errors. An error shows the right form and wraps ErrInvalid; it does
// not repeat what could be a secret.
func Parse(rawURL string) (Spec, error) {
	u, err := parse(rawURL)
	if err != nil {
		return Spec{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return u, nil
}

func parse(raw string) (Spec, error) {
	scheme, rest, hasScheme := strings.Cut(raw, ":")
	switch {
	case raw == "":
		return Spec{}, fmt.Errorf("empty; write %s or %s", exampleFile, exampleS3)
	case !hasScheme || strings.ContainsAny(scheme, "/?#@"):
		return Spec{}, fmt.Errorf("does not begin with file:// or s3://; write %s or %s", exampleFile, exampleS3)
	case scheme != SchemeFile && scheme != SchemeS3:
		return Spec{}, fmt.Errorf("unknown scheme %.20q; write %s or %s", scheme, exampleFile, exampleS3)
	case !strings.HasPrefix(rest, "//"):
		return Spec{}, fmt.Errorf("%s: must be followed by //; write %s", scheme, example(scheme))
	}
	if end := strings.IndexAny(rest[2:], "/?#"); strings.Contains(authority(rest[2:], end), "@") {
		return Spec{}, errors.New("it contains credentials; leave them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
	}
	u, err := url.Parse(raw)
	if err != nil { // its text would repeat the input
		return Spec{}, fmt.Errorf("malformed URL; write %s", example(scheme))
	}
	if strings.Contains(raw, "#") {
		return Spec{}, fmt.Errorf("it contains a #, which is not part of a location; write %%23 if the name contains one")
	}
	if scheme == SchemeFile {
		return parseFile(u)
	}
	return parseS3(u)
}

func authority(s string, end int) string {
	if end < 0 {
		return s
	}
	return s[:end]
}

func example(scheme string) string {
	if scheme == SchemeFile {
		return exampleFile
	}
	return exampleS3
}

func parseFile(u *url.URL) (Spec, error) {
	switch {
	case u.Host != "":
		return Spec{}, fmt.Errorf("a file location has no host, and its path is absolute; write it with three slashes, as in %s", exampleFile)
	case u.RawQuery != "" || u.ForceQuery:
		return Spec{}, fmt.Errorf("a file location has no parameters; write %s, and %%3F if the name has a ?", exampleFile)
	}
	dir := path.Clean(u.Path)
	switch {
	case hasDots(u.Path):
		return Spec{}, fmt.Errorf(`its path contains "." or ".."; write the folder itself, as in %s`, exampleFile)
	case u.Path == "" || dir == "/":
		return Spec{}, fmt.Errorf("it has no folder; write %s", exampleFile)
	case !plain(dir):
		return Spec{}, errors.New("its path contains control characters or bytes that are not UTF-8")
	}
	return Spec{Scheme: SchemeFile, Path: dir}, nil
}

func parseS3(u *url.URL) (Spec, error) {
	l := Spec{Scheme: SchemeS3, Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	switch {
	case l.Bucket == "":
		return Spec{}, fmt.Errorf("it has no bucket; write %s", exampleS3)
	case strings.Contains(l.Bucket, ":"):
		return Spec{}, fmt.Errorf("a bucket has no port and no password; set the server in a parameter, as in %s", exampleOwn)
	}
	if err := checkBucket(l.Bucket); err != nil {
		return Spec{}, err
	}
	if err := checkPrefix(l.Prefix); err != nil {
		return Spec{}, fmt.Errorf("its prefix is invalid (%w); write %s", err, exampleS3)
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Spec{}, fmt.Errorf("the parameters after the ? are malformed; write %s", exampleS3)
	}
	if err := l.parameters(q); err != nil {
		return Spec{}, err
	}
	return l, nil
}

func checkBucket(name string) error {
	if !bucketRE.MatchString(name) {
		return fmt.Errorf("bucket %.64q is not a valid bucket name: 3 to 63 lower case letters, digits, '.' and '-', starting and ending with a letter or digit", name)
	}
	return nil
}

func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return store.CheckKey(prefix)
}

func (u *Spec) parameters(q url.Values) error {
	known := []string{"region", "endpoint", "path-style"}
	for name, values := range q {
		switch {
		case !slices.Contains(known, name):
			return fmt.Errorf("unknown parameter %.40q (known: %s)", name, strings.Join(known, ", "))
		case len(values) != 1 || values[0] == "":
			return fmt.Errorf("parameter %s needs one value; write %s", name, exampleS3)
		}
	}
	if u.Region = q.Get("region"); u.Region != "" && !regionRE.MatchString(u.Region) {
		return fmt.Errorf("region %.64q is not a valid region; write %s", u.Region, exampleS3)
	}
	if u.Endpoint = q.Get("endpoint"); u.Endpoint != "" {
		endpoint, err := parseEndpoint(u.Endpoint)
		if err != nil {
			return err
		}
		u.Endpoint, u.PathStyle = endpoint, true
	}
	if style := q.Get("path-style"); style != "" {
		if style != "true" && style != "false" {
			return fmt.Errorf("path-style must be true or false, not %.20q", style)
		}
		u.PathStyle, _ = strconv.ParseBool(style)
	}
	return nil
}

func parseEndpoint(raw string) (string, error) {
	e, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("the endpoint is a malformed URL; write %s", exampleOwn)
	}
	switch {
	case e.User != nil:
		return "", errors.New("the endpoint contains credentials; leave them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
	case e.Scheme != "http" && e.Scheme != "https", e.Hostname() == "":
		return "", fmt.Errorf("the endpoint is not http://host:port or https://host:port; write %s", exampleOwn)
	case strings.Trim(e.Path, "/") != "" || e.RawQuery != "" || e.ForceQuery || e.Fragment != "" || !plain(e.Host):
		return "", fmt.Errorf("the endpoint has more than a host and a port; write %s", exampleOwn)
	}
	return e.Scheme + "://" + e.Host, nil
}

func hasDots(p string) bool {
	return slices.ContainsFunc(strings.Split(p, "/"), func(s string) bool { return s == "." || s == ".." })
}

func plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }
