package location

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/store/s3"
)

const defaultProfile = "default"

// readCredentials reads one profile of an AWS shared-credentials file, as a
// Secret of Velero's holds it. Its region is "" if it names none. Errors name
// lines and keys that AWS has, never text of the file.
//
// The file is parsed here because the SDK reads only files on disk, and because
// of a file in a cluster nothing may be run (credential_process).
func readCredentials(file []byte, profile string) (c s3.Credentials, region string, err error) {
	values, err := readProfile(string(file), profile)
	if err != nil {
		return c, "", err
	}
	for _, key := range []string{"role_arn", "credential_process", "source_profile", "credential_source", "web_identity_token_file", "sso_session", "sso_start_url"} {
		if values[key] != "" {
			return c, "", fmt.Errorf("profile %q: %s is not supported: only static keys are", profile, key)
		}
	}
	c = s3.Credentials{
		AccessKeyID: values["aws_access_key_id"], SecretAccessKey: values["aws_secret_access_key"], SessionToken: values["aws_session_token"],
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return s3.Credentials{}, "", fmt.Errorf("profile %q has no aws_access_key_id and aws_secret_access_key", profile)
	}
	return c, values["region"], nil
}

// readProfile are the values of one section of an INI file.
func readProfile(file, profile string) (map[string]string, error) {
	var values map[string]string
	section, number := "", 0
	for line := range strings.Lines(strings.TrimPrefix(file, "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.ContainsAny(line[:1], "#;") {
			continue
		}
		if name, isSection := strings.CutPrefix(line, "["); isSection {
			name, _, closed := strings.Cut(name, "]")
			if !closed {
				return nil, fmt.Errorf("line %d: a section has no closing bracket", number)
			}
			section = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "profile "))
			if section == profile && values == nil {
				values = map[string]string{}
			}
			continue
		}
		key, value, isPair := strings.Cut(line, "=")
		if !isPair || section == "" {
			return nil, fmt.Errorf("line %d is not a section or key = value within a section", number)
		}
		if section == profile {
			values[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(withoutComment(value))
		}
	}
	if values == nil {
		return nil, fmt.Errorf("no profile %q", profile)
	}
	return values, nil
}

// withoutComment cuts a comment, which begins after a blank, off a value.
func withoutComment(value string) string {
	ends := []int{len(value)}
	for _, mark := range []string{" #", " ;", "\t#", "\t;"} {
		if at := strings.Index(value, mark); at >= 0 {
			ends = append(ends, at)
		}
	}
	return value[:slices.Min(ends)]
}
