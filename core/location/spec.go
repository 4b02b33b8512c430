package location

import (
	"net/url"

	"github.com/lifeboat-backup/lifeboat/core/store/s3"
)

// Spec identifies a location and how to access it. Parse reads one from a URL,
// FromBackupStorageLocation from an object of a cluster.
type Spec struct {
	Scheme string // SchemeFile or SchemeS3

	Path string // of a file location: absolute, clean, not "/"

	Bucket    string // the rest is of an s3 location
	Prefix    string // "" is the bucket itself; without "/" at either end
	Region    string // "" is left to the SDK's configuration
	Endpoint  string // http(s)://host[:port] of a server other than AWS, or ""
	PathStyle bool   // of a URL: true when there is an endpoint, unless the URL says otherwise

	// What a URL does not contain. Without credentials, those of the SDK's chain
	// are used, with Profile or the SDK's default profile.
	Credentials s3.Credentials
	Profile     string
	CACert      []byte // PEM; replaces the authorities of the system
	Insecure    bool   // the server's certificate is not checked
}

// String is the location's URL, in the form that Parse reads. It holds no
// credentials.
func (s Spec) String() string {
	if s.Scheme == SchemeFile {
		return (&url.URL{Scheme: SchemeFile, Path: s.Path}).String()
	}
	return s.bucket().String()
}

// GoString is String: %#v shows no credentials either.
func (s Spec) GoString() string { return s.String() }

func (s Spec) bucket() s3.Options {
	return s3.Options{
		Bucket: s.Bucket, Prefix: s.Prefix, Region: s.Region, Endpoint: s.Endpoint, PathStyle: s.PathStyle,
		Credentials: s.Credentials, Profile: s.Profile, CACert: s.CACert, Insecure: s.Insecure,
	}
}
