package location

import (
	"bytes"
	"cmp"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

// FromBackupStorageLocation makes a Spec of a BackupStorageLocation and the
// Secrets that it refers to, in its namespace. The configuration is that of
// Velero's plugin for AWS (v1.13). The error wraps ErrInvalid, names each field
// that is wrong, unknown or not supported, and repeats nothing of a Secret.
func FromBackupStorageLocation(l velerov1.BackupStorageLocation, secrets ...corev1.Secret) (Spec, error) {
	r := reader{object: l, secrets: secrets, spec: Spec{Scheme: SchemeS3}}
	r.storage()
	r.config()
	r.credential()
	if len(r.errs) > 0 {
		return Spec{}, fmt.Errorf("%w: BackupStorageLocation %s/%s: %w", ErrInvalid, l.Namespace, l.Name, errors.Join(r.errs...))
	}
	return r.spec, nil
}

// reader makes a Spec of an object and collects what is wrong.
type reader struct {
	object  velerov1.BackupStorageLocation
	secrets []corev1.Secret
	spec    Spec
	errs    []error
}

func (r *reader) wrong(field, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("spec.%s: %w", field, fmt.Errorf(format, args...)))
}

func (r *reader) storage() {
	if p := r.object.Spec.Provider; p != "aws" && p != "velero.io/aws" {
		r.wrong("provider", "%q is not supported: it is aws (any server that speaks S3)", p)
	}
	o := r.object.Spec.ObjectStorage
	if o == nil {
		r.wrong("objectStorage", "required")
		return
	}
	r.spec.Bucket, r.spec.Prefix = strings.Trim(o.Bucket, "/"), strings.Trim(o.Prefix, "/")
	if err := checkBucket(r.spec.Bucket); err != nil {
		r.wrong("objectStorage.bucket", "%w", err)
	}
	if err := checkPrefix(r.spec.Prefix); err != nil {
		r.wrong("objectStorage.prefix", "%w", err)
	}
	switch {
	case len(o.CACert) > 0 && o.CACertRef != nil:
		r.wrong("objectStorage.caCertRef", "cannot be used together with caCert")
	case len(o.CACert) > 0:
		r.authorities("objectStorage.caCert", o.CACert)
	case o.CACertRef != nil:
		if cert, found := r.secret("objectStorage.caCertRef", *o.CACertRef); found {
			r.authorities("objectStorage.caCertRef", cert)
		}
	}
}

func (r *reader) authorities(field string, cert []byte) {
	if block, _ := pem.Decode(cert); block == nil || block.Type != "CERTIFICATE" {
		r.wrong(field, "not a certificate in PEM form")
		return
	}
	r.spec.CACert = bytes.Clone(cert)
}

// secret is the value that a selector points to.
func (r *reader) secret(field string, ref corev1.SecretKeySelector) (value []byte, found bool) {
	for _, s := range r.secrets {
		if s.Name != ref.Name || s.Namespace != r.object.Namespace {
			continue
		}
		if value, found = s.Data[ref.Key]; !found {
			r.wrong(field, "secret %s/%s has no key %q", s.Namespace, s.Name, ref.Key)
		}
		return value, found
	}
	r.wrong(field, "secret %s/%s not found", r.object.Namespace, ref.Name)
	return nil, false
}

// credential reads the Secret with the credentials. It runs after config, which
// sets the profile. Without a Secret the profile is one of the SDK's files.
func (r *reader) credential() {
	ref := r.object.Spec.Credential
	if ref == nil {
		return
	}
	file, found := r.secret("credential", *ref)
	if !found {
		return
	}
	c, region, err := readCredentials(file, cmp.Or(r.spec.Profile, defaultProfile))
	if err != nil {
		r.wrong("credential", "secret %s/%s, key %q: %w", r.object.Namespace, ref.Name, ref.Key, err)
		return
	}
	r.spec.Credentials, r.spec.Profile, r.spec.Region = c, "", cmp.Or(r.spec.Region, region)
}

// settings are the keys of the configuration.
var settings = map[string]func(r *reader, field, value string){
	"region": func(r *reader, field, value string) {
		if r.spec.Region = value; value != "" && !regionRE.MatchString(value) {
			r.wrong(field, "%.64q is not a valid region", value)
		}
	},
	"s3Url": func(r *reader, field, value string) {
		endpoint, err := parseEndpoint(value)
		if err != nil {
			r.wrong(field, "%w", err)
		}
		r.spec.Endpoint = endpoint
	},
	"s3ForcePathStyle":      func(r *reader, field, value string) { r.boolean(field, value, &r.spec.PathStyle) },
	"insecureSkipTLSVerify": func(r *reader, field, value string) { r.boolean(field, value, &r.spec.Insecure) },
	"profile":               func(r *reader, _, value string) { r.spec.Profile = value },
	"caCert":                func(r *reader, field, value string) { r.authorities(field, []byte(value)) },
	// Every upload carries sums that every server checks (package s3).
	"checksumAlgorithm": func(r *reader, field, value string) {
		if known := []string{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"}; !slices.Contains(known, value) {
			r.wrong(field, "%.20q is not one of CRC32, CRC32C, CRC64NVME, SHA1, SHA256", value)
		}
	},
	"publicUrl":          func(*reader, string, string) {}, // of download links only
	"enableSharedConfig": func(*reader, string, string) {}, // the SDK always reads its files
}

// unsupported are keys that would change what is stored, or with which rights.
var unsupported = []string{
	"kmsKeyId", "serverSideEncryption", "customerKeyEncryptionFile", "customerKeyEncryptionSecret", "tagging", "credentialsFile", "signatureVersion",
}

func (r *reader) config() {
	for _, key := range slices.Sorted(maps.Keys(r.object.Spec.Config)) {
		field := "config." + key
		switch set, known := settings[key]; {
		case known:
			set(r, field, r.object.Spec.Config[key])
		case slices.Contains(unsupported, key):
			r.wrong(field, "not supported")
		default:
			r.wrong(fmt.Sprintf("config.%.40s", key), "unknown (known: %s)", strings.Join(slices.Sorted(maps.Keys(settings)), ", "))
		}
	}
}

func (r *reader) boolean(field, value string, to *bool) {
	b, err := strconv.ParseBool(value)
	if err != nil {
		r.wrong(field, "%.20q is not true or false", value)
	}
	*to = b
}
