package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// credentialsError is an error of the chain of credentials.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// explained is an error of the SDK in one sentence that names what the user
// has to look at. The SDK's own text, with its layers, stays reachable for
// errors.As only.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// explain turns an error of the SDK into a sentence. Errors of this module
// pass as they are.
func explain(ctx context.Context, err error, o Options, where string) error {
	switch {
	case err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	e := &explained{text: sentence(err, o, where), err: err}
	if code(err) == "InvalidObjectState" {
		e.err = errors.Join(store.ErrArchived, err)
	}
	return e
}

// explainDelete is explain for a deletion, which a lock of the bucket refuses
// to whoever has all rights.
func explainDelete(ctx context.Context, err error, o Options, where string) error {
	out := explain(ctx, err, o, where)
	if e, ok := errors.AsType[*explained](out); ok && (code(err) == "AccessDenied" || code(err) == "ObjectLocked") {
		e.text += "; or a lock of the bucket (object lock, legal hold, retention) holds the object until its time is over"
	}
	return out
}

func sentence(err error, o Options, where string) string {
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return "no usable AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run with a role (" + reason(err) + ")"
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return apiSentence(api, err, o, where)
	}
	return transportSentence(err, o, where)
}

// apiSentence explains what the server answered, by its error code, or by the
// status where an answer has no code.
func apiSentence(api smithy.APIError, err error, o Options, where string) string {
	said := fmt.Sprintf(" (%s: %s%s)", api.ErrorCode(), strings.TrimSpace(api.ErrorMessage()), requestID(err))
	switch api.ErrorCode() {
	case "NoSuchBucket":
		return fmt.Sprintf("bucket %s does not exist at %s: check the name and the endpoint, or create it%s", o.Bucket, where, said)
	case "PermanentRedirect", "MovedPermanently", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return fmt.Sprintf("bucket %s is not in the region asked (%s): add ?region=%s to the location%s", o.Bucket, where, region(err), said)
	case "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "XAdminUserNotFound":
		return fmt.Sprintf("%s does not know the access key: check AWS_ACCESS_KEY_ID or the profile%s", where, said)
	case "SignatureDoesNotMatch":
		return fmt.Sprintf("%s does not accept the secret key: check AWS_SECRET_ACCESS_KEY or the profile%s", where, said)
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "InvalidToken":
		return fmt.Sprintf("the credentials have expired or their session token is wrong: renew them%s", said)
	case "RequestTimeTooSkewed":
		return fmt.Sprintf("the clocks of this machine and of %s differ too much: set this machine's%s", where, said)
	case "SlowDown", "ServiceUnavailable", "TooManyRequests", "RequestLimitExceeded":
		return fmt.Sprintf("%s is overloaded and did not recover within %d attempts: try again later%s", where, maxAttempts, said)
	case "InvalidObjectState":
		return fmt.Sprintf("object of bucket %s is in an archive storage class (for example Glacier) and cannot be read as it is: restore a copy of it to a readable class first%s", o.Bucket, said)
	case "KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException":
		return fmt.Sprintf("object of bucket %s is encrypted with a key that cannot be used: enable the key, or cancel its deletion%s", o.Bucket, said)
	case "QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity", "EntityTooLarge":
		return fmt.Sprintf("%s: bucket %s is out of quota or space: free space or raise the quota%s", where, o.Bucket, said)
	}
	switch status(err) {
	case http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Sprintf("access to bucket %s denied at %s: the credentials need s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on its objects, and kms:Decrypt if they are encrypted with a KMS key%s",
			o.Bucket, where, said)
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		return fmt.Sprintf("bucket %s is not in the region asked (%s): add ?region=%s to the location%s", o.Bucket, where, region(err), said)
	case http.StatusNotFound: // with no code of S3's, which have been dealt with
		return fmt.Sprintf("what answers at %s does not know bucket %s and may be no S3 server: check the endpoint%s", where, o.Bucket, said)
	}
	return fmt.Sprintf("bucket %s at %s%s", o.Bucket, where, said)
}

// transportSentence explains why no answer came.
func transportSentence(err error, o Options, where string) string {
	unreachable := fmt.Sprintf("cannot reach %s for bucket %s (%s): ", where, o.Bucket, reason(err))
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &dns):
		return unreachable + "check the host name, and that path-style is true if the server has no host name per bucket"
	case errors.As(err, &unknown):
		return unreachable + "if the server's certificate is from your own authority, name its file in AWS_CA_BUNDLE, or put it into caCert of the BackupStorageLocation"
	case errors.As(err, &host):
		return unreachable + "use the name the certificate is for, or path-style=true if it does not cover one host name per bucket"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return unreachable + "write the endpoint with http:// if the server speaks no TLS"
	}
	return unreachable + "check the endpoint, the network and the proxy settings"
}

// reason is the innermost error: what happened, without the SDK's account of
// what it was doing.
func reason(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

func requestID(err error) string {
	if re, ok := errors.AsType[*awshttp.ResponseError](err); ok && re.ServiceRequestID() != "" {
		return ", request " + re.ServiceRequestID()
	}
	return ""
}

// region is the one that the server names as the bucket's.
func region(err error) string {
	if re, ok := errors.AsType[*awshttp.ResponseError](err); ok && re.HTTPResponse() != nil {
		if r := re.HTTPResponse().Header.Get("X-Amz-Bucket-Region"); r != "" {
			return r
		}
	}
	return "<the bucket's>"
}

func status(err error) int {
	if re, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return re.HTTPStatusCode()
	}
	return 0
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// isMissing reports whether err, of any request but a HEAD, says that there is
// no such object. A status of 404 alone may be of a bucket, or of a server
// that is no S3 server.
func isMissing(err error) bool { return code(err) == "NoSuchKey" }

// isMissingHead is isMissing for a HEAD, whose answer has no body. That it
// cannot tell a missing bucket shows with the request that follows.
func isMissingHead(err error) bool { return status(err) == http.StatusNotFound }

// isRefused reports whether err is an answer that asking again would not
// change.
func isRefused(err error) bool {
	s := status(err)
	return s >= 300 && s < 500 || s == http.StatusInsufficientStorage
}

func isNotImplemented(err error) bool {
	return code(err) == "NotImplemented" || status(err) == http.StatusNotImplemented
}

func isPreconditionFailed(err error) bool {
	return code(err) == "PreconditionFailed" || status(err) == http.StatusPreconditionFailed
}

// lost reports whether err is one that a writer gets to whom another, or its
// own first attempt, was faster.
func lost(err error) bool {
	switch code(err) {
	case "NoSuchUpload", "ConditionalRequestConflict", "OperationAborted":
		return true
	}
	return isPreconditionFailed(err)
}
