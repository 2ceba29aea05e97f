package s3

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
)

var _ artifact.Shelf = (*Bucket)(nil)

func (b *Bucket) named(name string) *string { return aws.String(path.Join(b.prefix, name)) }

// PutDocument writes a document: see artifact.Documents.
func (b *Bucket) PutDocument(ctx context.Context, name string, data []byte) error {
	if err := artifact.CheckName(name); err != nil {
		return err
	}
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.bucket, Key: b.named(name), Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ContentMD5: digest(data),
	})
	return b.wrap("store "+name, err)
}

// Document reads a document: see artifact.Documents.
func (b *Bucket) Document(ctx context.Context, name string) ([]byte, error) {
	if err := artifact.CheckName(name); err != nil {
		return nil, err
	}
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: b.named(name)})
	if err != nil {
		return nil, b.wrap("read "+name, err)
	}
	defer out.Body.Close()
	return artifact.ReadDocument(out.Body, b.name+": "+name)
}

// DocumentNames lists documents: see artifact.Documents.
func (b *Bucket) DocumentNames(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := artifact.CheckPrefix(prefix); err != nil {
			yield("", err)
			return
		}
		above := ""
		if b.prefix != "" {
			above = b.prefix + "/"
		}
		pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: aws.String(above + prefix)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", b.wrap("list documents", err))
				return
			}
			for _, o := range page.Contents {
				name := strings.TrimPrefix(aws.ToString(o.Key), above)
				if artifact.CheckName(name) != nil {
					continue
				}
				if !yield(name, nil) {
					return
				}
			}
		}
	}
}

// RemoveDocument deletes a document: see artifact.Documents.
func (b *Bucket) RemoveDocument(ctx context.Context, name string) error {
	if err := artifact.CheckName(name); err != nil {
		return err
	}
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: b.named(name)})
	if err = b.wrap("delete "+name, err); errors.Is(err, artifact.ErrNotFound) {
		return nil
	}
	return err
}
