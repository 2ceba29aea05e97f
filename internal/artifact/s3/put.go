package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
)

// partSize is how much goes in one request. S3 takes at most 10,000 parts, so files of
// up to 80 GB.
const partSize = 8 << 20

// Put stores content: see artifact.Store. A file of more than one part is sent part by
// part; the parts that the service has from an attempt that was cut off are compared
// and not sent again.
func (b *Bucket) Put(ctx context.Context, o artifact.Object, content artifact.Content) error {
	held, err := b.Stat(ctx, o.Hash)
	if err == nil && held.Size == o.Size {
		return nil
	}
	if err != nil && !errors.Is(err, artifact.ErrNotFound) {
		return err
	}
	if o.Size <= partSize {
		err = b.putWhole(ctx, o, content)
	} else {
		err = b.putParts(ctx, o, content, true)
		if joined(err) {
			// Somebody else sends the same file and was faster, or gave up.
			if held, err := b.Stat(ctx, o.Hash); err == nil && held.Size == o.Size {
				return nil
			}
			err = b.putParts(ctx, o, content, false)
		}
	}
	if err != nil {
		return err
	}
	for range 3 { // a service may replace a file in two steps, and somebody else just did
		if held, err = b.Stat(ctx, o.Hash); !errors.Is(err, artifact.ErrNotFound) {
			break
		}
	}
	if err == nil && held.Size != o.Size {
		err = fmt.Errorf("%s: file %s has %d bytes there, not %d: %w", b.name, o.Hash, held.Size, o.Size, artifact.ErrDamaged)
	}
	return err
}

func (b *Bucket) putWhole(ctx context.Context, o artifact.Object, content artifact.Content) error {
	data := make([]byte, o.Size+1)
	n, err := content.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	data = data[:n]
	sum := sha256.Sum256(data)
	if err := unchanged(o, sum[:]); err != nil {
		return err
	}
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.bucket, Key: b.key(o.Hash), Body: bytes.NewReader(data), ContentLength: aws.Int64(o.Size), ContentMD5: digest(data),
	})
	return b.wrap("store file "+o.Hash, err)
}

// unchanged compares what was read with what was to be stored.
func unchanged(o artifact.Object, sum []byte) error {
	if got := hex.EncodeToString(sum); got != o.Hash {
		return fmt.Errorf("file %s: %w: its content has the SHA-256 %s now", o.Hash, artifact.ErrChanged, got)
	}
	return nil
}

func digest(data []byte) *string {
	sum := md5.Sum(data) // what S3 checks a transfer by
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

// joined reports whether an upload failed as one does that several send at once.
func joined(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains([]string{"NoSuchUpload", "InvalidPart", "InternalError"}, api.ErrorCode())
}

// putParts sends a file part by part; with join it goes on with what was begun before.
func (b *Bucket) putParts(ctx context.Context, o artifact.Object, content artifact.Content, join bool) (err error) {
	what := "store file " + o.Hash
	var id string
	var held map[int32]string
	if join {
		if id, held, err = b.unfinished(ctx, o.Hash); err != nil {
			return err
		}
	}
	if id == "" {
		out, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &b.bucket, Key: b.key(o.Hash)})
		if err != nil {
			return b.wrap(what, err)
		}
		id = aws.ToString(out.UploadId)
	}
	sum := sha256.New()
	var done []types.CompletedPart
	buf := make([]byte, partSize)
	for at, n := int64(0), int32(1); at < o.Size; at, n = at+partSize, n+1 {
		data := buf[:min(partSize, o.Size-at)]
		if _, err := content.ReadAt(data, at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		sum.Write(data)
		etag := held[n]
		if local := md5.Sum(data); strings.Trim(etag, `"`) != hex.EncodeToString(local[:]) {
			out, err := b.client.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: &b.bucket, Key: b.key(o.Hash), UploadId: &id, PartNumber: aws.Int32(n),
				Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ContentMD5: digest(data),
			})
			if err != nil {
				return b.wrap(fmt.Sprintf("%s, part %d", what, n), b.whyNot(ctx, o.Hash, id, err))
			}
			etag = aws.ToString(out.ETag)
		}
		done = append(done, types.CompletedPart{PartNumber: aws.Int32(n), ETag: aws.String(etag)})
	}
	if err := unchanged(o, sum.Sum(nil)); err != nil {
		_, _ = b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.bucket, Key: b.key(o.Hash), UploadId: &id})
		return err
	}
	_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &b.bucket, Key: b.key(o.Hash), UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	return b.wrap(what, err)
}

// whyNot finds the reason why a part was not taken: a service may close the connection
// before it has read the part, and so never say that somebody else has ended the upload.
func (b *Bucket) whyNot(ctx context.Context, hash, id string, err error) error {
	if _, said := errors.AsType[smithy.APIError](err); said || ctx.Err() != nil {
		return err
	}
	if _, ended := b.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &b.bucket, Key: b.key(hash), UploadId: &id}); joined(ended) {
		return ended
	}
	return err
}

// unfinished finds the attempt to send a file that was begun last, with the parts that
// it has sent.
func (b *Bucket) unfinished(ctx context.Context, hash string) (id string, parts map[int32]string, err error) {
	key := b.key(hash)
	out, err := b.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b.bucket, Prefix: key})
	if err != nil {
		return "", nil, b.wrap("look for what was begun of file "+hash, err)
	}
	var last types.MultipartUpload
	for _, u := range out.Uploads {
		if aws.ToString(u.Key) == *key && (last.UploadId == nil || aws.ToTime(u.Initiated).After(aws.ToTime(last.Initiated))) {
			last = u
		}
	}
	if last.UploadId == nil {
		return "", nil, nil
	}
	parts = map[int32]string{}
	pages := s3.NewListPartsPaginator(b.client, &s3.ListPartsInput{Bucket: &b.bucket, Key: key, UploadId: last.UploadId})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", nil, b.wrap("look for the parts of file "+hash, err)
		}
		for _, p := range page.Parts {
			parts[aws.ToInt32(p.PartNumber)] = aws.ToString(p.ETag)
		}
	}
	return aws.ToString(last.UploadId), parts, nil
}
