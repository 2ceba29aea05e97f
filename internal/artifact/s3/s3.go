// Package s3 keeps the files of models in a bucket of any S3 service, Supabase Storage
// among them.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
)

// Bucket is a store in a bucket: sha256/aa/aabbcc… below a prefix.
type Bucket struct {
	client         *s3.Client
	bucket, prefix string
	name           string
}

// Open prepares a bucket from a URL and the environment:
//
//	s3://BUCKET/PREFIX?endpoint=https://HOST/PATH&region=REGION
//
// Without an endpoint it is Amazon's. The keys are AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY and, where there is one, AWS_SESSION_TOKEN. Nothing is asked of
// the service yet.
func Open(rawURL string, env func(string) (string, bool)) (*Bucket, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return nil, fmt.Errorf("store: not of the form s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION")
	}
	if u.User != nil {
		return nil, errors.New("store: keys do not belong into the URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	get := func(name string) string { v, _ := env(name); return v }
	q := u.Query()
	for name := range q {
		if name != "endpoint" && name != "region" {
			return nil, fmt.Errorf("store: %q in the URL is unknown: endpoint and region are known", name)
		}
	}
	key, secret := get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")
	if key == "" || secret == "" {
		return nil, errors.New("store: no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (Supabase: Storage, Settings, S3 access keys)")
	}
	region := q.Get("region")
	if region == "" {
		region = get("AWS_REGION")
	}
	if region == "" {
		region = "us-east-1"
	}
	opt := s3.Options{
		Region:      region,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, get("AWS_SESSION_TOKEN")),
		// Checksums beyond what S3 has always had are not known everywhere; each part
		// carries its MD5, and the whole is checked by its SHA-256.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		RetryMaxAttempts:           1, // the uploader tries again, and says so
		HTTPClient:                 &http.Client{Transport: transport()},
	}
	b := &Bucket{bucket: u.Host, prefix: strings.Trim(u.Path, "/")}
	b.name = "s3://" + path.Join(u.Host, b.prefix)
	if endpoint := q.Get("endpoint"); endpoint != "" {
		e, err := url.Parse(endpoint)
		if err != nil || e.Host == "" || e.Scheme != "https" && e.Scheme != "http" {
			return nil, errors.New("store: endpoint must be https://HOST/PATH")
		}
		if e.User != nil {
			return nil, errors.New("store: keys do not belong into the endpoint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		}
		if host := e.Hostname(); e.Scheme == "http" && host != "localhost" && host != "127.0.0.1" && host != "::1" {
			return nil, fmt.Errorf("store: the endpoint %s is not encrypted: use https", e.Host)
		}
		opt.BaseEndpoint = aws.String(strings.TrimRight(endpoint, "/"))
		opt.UsePathStyle = true
		b.name += " at " + e.Host
	}
	b.client = s3.New(opt)
	return b, nil
}

// transport gives up on a service that does not answer, not on one that is slow.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = time.Minute
	return t
}

// Name says which bucket it is.
func (b *Bucket) Name() string { return b.name }

func (b *Bucket) key(hash string) *string {
	return aws.String(path.Join(b.prefix, "sha256", hash[:2], hash))
}

// Open reads a file: see artifact.Store.
func (b *Bucket) Open(ctx context.Context, hash string) (io.ReadCloser, error) {
	if err := artifact.CheckHash(hash); err != nil {
		return nil, err
	}
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: b.key(hash)})
	if err != nil {
		return nil, b.wrap("read file "+hash, err)
	}
	return out.Body, nil
}

// Stat looks for a file: see artifact.Store.
func (b *Bucket) Stat(ctx context.Context, hash string) (artifact.Object, error) {
	if err := artifact.CheckHash(hash); err != nil {
		return artifact.Object{}, err
	}
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: b.key(hash)})
	if err != nil {
		return artifact.Object{}, b.wrap("look for file "+hash, err)
	}
	return artifact.Object{Hash: hash, Size: aws.ToInt64(out.ContentLength), Time: aws.ToTime(out.LastModified)}, nil
}

// Remove deletes a file: see artifact.Store.
func (b *Bucket) Remove(ctx context.Context, hash string) error {
	if err := artifact.CheckHash(hash); err != nil {
		return err
	}
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: b.key(hash)})
	if err = b.wrap("delete file "+hash, err); errors.Is(err, artifact.ErrNotFound) {
		return nil
	}
	return err
}

// All lists the files: see artifact.Store.
func (b *Bucket) All(ctx context.Context) iter.Seq2[artifact.Object, error] {
	return func(yield func(artifact.Object, error) bool) {
		prefix := path.Join(b.prefix, "sha256") + "/"
		pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(artifact.Object{}, b.wrap("list files", err))
				return
			}
			for _, o := range page.Contents {
				hash := path.Base(aws.ToString(o.Key))
				if artifact.CheckHash(hash) != nil || aws.ToString(o.Key) != *b.key(hash) {
					continue
				}
				if !yield(artifact.Object{Hash: hash, Size: aws.ToInt64(o.Size), Time: aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
		}
	}
}

// wrap says what was tried and where, and what to do about what often goes wrong.
func (b *Bucket) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*types.NotFound](err); ok {
		err = artifact.ErrNotFound
	} else if _, ok := errors.AsType[*types.NoSuchKey](err); ok {
		err = artifact.ErrNotFound
	} else if api, ok := errors.AsType[smithy.APIError](err); ok {
		text := api.ErrorCode()
		if m := api.ErrorMessage(); m != "" && m != text {
			text += ": " + m
		}
		hint := ""
		switch api.ErrorCode() {
		case "NoSuchBucket":
			hint = ": make the bucket " + b.bucket + ", or name another one"
		case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden":
			hint = ": check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the region, and that the key may write to the bucket"
		}
		return fmt.Errorf("%s: %s: %w", b.name, what, &serviceError{text + hint, err})
	}
	return fmt.Errorf("%s: %s: %w", b.name, what, err)
}

// serviceError is an answer of the service, in fewer words than the library has for it.
type serviceError struct {
	text string
	err  error
}

func (e *serviceError) Error() string { return e.text }
func (e *serviceError) Unwrap() error { return e.err }
