// Checks an S3 endpoint with minio-go, the client library of Milvus's Go side, in a bucket of its own.
//
//	minio-go-checks ENDPOINT ACCESS SECRET
//
// Prints "PASS name" or "FAIL name - why" for each check; exit code 1 when any failed. Built against Debian's
// golang-github-minio-minio-go-v7-dev: GO111MODULE=off GOPATH=/usr/share/gocode go build.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/tags"
)

const mib = 1 << 20

var (
	ctx    = context.Background()
	client *minio.Client
	bucket string
	small  = []byte("a few bytes\n")
	medium = random(345_678)
	large  = random(20*mib + 77)
	listed []string
)

func random(size int) []byte {
	b := make([]byte, size)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return b
}

func digest(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func connect(access, secret string) *minio.Client {
	endpoint, err := url.Parse(os.Args[1])
	if err != nil {
		panic(err)
	}
	transport, err := minio.DefaultTransport(false)
	if err != nil {
		panic(err)
	}
	c, err := minio.New(endpoint.Host, &minio.Options{
		Transport: onceTransport{transport},
		Creds:     credentials.NewStaticV4(access, secret, ""), Secure: endpoint.Scheme == "https", BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		panic(err)
	}
	return c
}

// writeOnce marks a context whose request carries If-None-Match: *. Debian's minio-go is older than the option for it.
type writeOnce struct{}

type onceTransport struct{ next http.RoundTripper }

func (t onceTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Context().Value(writeOnce{}) != nil && request.Method == http.MethodPut {
		request.Header.Set("If-None-Match", "*")
	}
	return t.next.RoundTrip(request)
}

func put(key string, body []byte, options minio.PutObjectOptions) error {
	_, err := client.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), options)
	return err
}

func get(key string, options minio.GetObjectOptions) ([]byte, error) {
	object, err := client.GetObject(ctx, bucket, key, options)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	return io.ReadAll(object)
}

// holds reads the key and compares it.
func holds(key string, want []byte) error {
	got, err := get(key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	return equal(got, want)
}

func equal(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes that differ from the %d due", len(got), len(want))
	}
	return nil
}

func keys(options minio.ListObjectsOptions) ([]string, error) {
	var found []string
	for object := range client.ListObjects(ctx, bucket, options) {
		if object.Err != nil {
			return nil, object.Err
		}
		found = append(found, object.Key)
	}
	return found, nil
}

func lists(options minio.ListObjectsOptions, want []string) error {
	got, err := keys(options)
	if err != nil {
		return err
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		return fmt.Errorf("listed %q instead of %q", got, want)
	}
	return nil
}

// refused wants one of the codes.
func refused(err error, codes ...string) error {
	if err == nil {
		return errors.New("was not refused")
	}
	for _, code := range codes {
		if minio.ToErrorResponse(err).Code == code {
			return nil
		}
	}
	return fmt.Errorf("code %q: %w", minio.ToErrorResponse(err).Code, err)
}

// all runs the steps until one fails.
func all(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func bucketMakeExists() error {
	if there, err := client.BucketExists(ctx, bucket); err != nil || there {
		return fmt.Errorf("exists before it was made: %v %v", there, err)
	}
	if err := client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
		return err
	}
	if there, err := client.BucketExists(ctx, bucket); err != nil || !there {
		return fmt.Errorf("does not exist: %v", err)
	}
	return nil
}

func putGetStat() error {
	options := minio.PutObjectOptions{ContentType: "text/x-check", UserMetadata: map[string]string{"One": "1"}}
	if err := put("a/medium", medium, options); err != nil {
		return err
	}
	stat, err := client.StatObject(ctx, bucket, "a/medium", minio.StatObjectOptions{})
	if err != nil {
		return err
	}
	if stat.Size != int64(len(medium)) || stat.ETag != digest(medium) || stat.ContentType != "text/x-check" || stat.UserMetadata["One"] != "1" {
		return fmt.Errorf("stat %+v", stat)
	}
	return holds("a/medium", medium)
}

func putEmpty() error {
	return all(
		func() error { return put("a/empty", nil, minio.PutObjectOptions{}) },
		func() error { return holds("a/empty", nil) })
}

// rangeAsMilvus reads as RemoteChunkManager.ReadAt does: a range with both ends.
func rangeAsMilvus() error {
	options := minio.GetObjectOptions{}
	if err := options.SetRange(4096, 4096+65536-1); err != nil {
		return err
	}
	got, err := get("a/medium", options)
	if err != nil {
		return err
	}
	return equal(got, medium[4096:4096+65536])
}

// readAtAndSeek reads as Milvus's import does: a HEAD, then ranges with If-Match.
func readAtAndSeek() error {
	object, err := client.GetObject(ctx, bucket, "a/medium", minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer object.Close()
	buffer := make([]byte, 5000)
	if _, err := object.ReadAt(buffer, 99_999); err != nil {
		return err
	}
	if err := equal(buffer, medium[99_999:104_999]); err != nil {
		return err
	}
	if _, err := object.Seek(-77, io.SeekEnd); err != nil {
		return err
	}
	rest, err := io.ReadAll(object)
	if err != nil {
		return err
	}
	return equal(rest, medium[len(medium)-77:])
}

// closeEarly reads as Milvus's ReadAt(0, n) does: a whole GET that is dropped after the first bytes.
func closeEarly() error {
	for i := 0; i < 5; i++ {
		object, err := client.GetObject(ctx, bucket, "m/large", minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		buffer := make([]byte, 1000)
		if _, err := io.ReadFull(object, buffer); err != nil {
			return err
		}
		if err := object.Close(); err != nil {
			return err
		}
		if err := equal(buffer, large[:1000]); err != nil {
			return err
		}
	}
	return holds("m/large", large)
}

func missing() error {
	_, err := get("absent", minio.GetObjectOptions{})
	if err := refused(err, "NoSuchKey"); err != nil {
		return err
	}
	_, err = client.StatObject(ctx, bucket, "absent", minio.StatObjectOptions{})
	return refused(err, "NoSuchKey")
}

func conditionalRead() error {
	options := minio.GetObjectOptions{}
	_ = options.SetMatchETag(digest(small))
	_, err := get("a/medium", options)
	return refused(err, "PreconditionFailed")
}

// conditionalWrite writes as Woodpecker does: a block may be written once, and a loser must learn it lost.
func conditionalWrite() error {
	once := func(key string, body []byte, fenced string) error {
		options := minio.PutObjectOptions{}
		if fenced != "" {
			options.UserMetadata = map[string]string{"fenced": fenced}
		}
		_, err := client.PutObject(context.WithValue(ctx, writeOnce{}, true), bucket, key, bytes.NewReader(body), int64(len(body)), options)
		return err
	}
	return all(
		func() error { return once("wp/1/0.blk", small, "") },
		func() error { return refused(once("wp/1/0.blk", medium, ""), "PreconditionFailed") },
		func() error { return holds("wp/1/0.blk", small) },
		func() error { return once("wp/1/1.blk", []byte("F"), "true") },
		func() error { return refused(once("wp/1/1.blk", small, ""), "PreconditionFailed") },
		func() error {
			stat, err := client.StatObject(ctx, bucket, "wp/1/1.blk", minio.StatObjectOptions{})
			if err != nil || stat.UserMetadata["Fenced"] != "true" {
				return fmt.Errorf("fence not seen: %v %v", stat.UserMetadata, err)
			}
			return nil
		})
}

// pollForBlock polls as Woodpecker's reader does: 404 until the block is there, and then at once.
func pollForBlock() error {
	for i := 0; i < 10; i++ {
		key := fmt.Sprintf("wp/2/%d.blk", i)
		_, err := client.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
		if err := refused(err, "NoSuchKey"); err != nil {
			return err
		}
		if err := put(key, small, minio.PutObjectOptions{}); err != nil {
			return err
		}
		if err := holds(key, small); err != nil {
			return err
		}
		if err := client.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}); err != nil {
			return err
		}
		_, err = get(key, minio.GetObjectOptions{})
		if err := refused(err, "NoSuchKey"); err != nil {
			return err
		}
	}
	return nil
}

func multipartThreads() error {
	options := minio.PutObjectOptions{PartSize: 5 * mib, NumThreads: 4, ConcurrentStreamParts: true}
	return all(
		func() error { return put("m/large", large, options) },
		func() error { return holds("m/large", large) },
		func() error {
			stat, err := client.StatObject(ctx, bucket, "m/large", minio.StatObjectOptions{})
			if err != nil || !strings.HasSuffix(stat.ETag, "-5") {
				return fmt.Errorf("ETag %q %v", stat.ETag, err)
			}
			return nil
		})
}

func multipartUnknownSize() error {
	_, err := client.PutObject(ctx, bucket, "m/unknown", io.LimitReader(bytes.NewReader(large), 18*mib), -1, minio.PutObjectOptions{PartSize: 8 * mib})
	if err != nil {
		return err
	}
	return holds("m/unknown", large[:18*mib])
}

func multipartIncomplete() error {
	core := minio.Core{Client: client}
	id, err := core.NewMultipartUpload(ctx, bucket, "m/half", minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	count := 0
	for upload := range client.ListIncompleteUploads(ctx, bucket, "m/half", true) {
		if upload.Err != nil {
			return upload.Err
		}
		count++
	}
	if count != 1 {
		return fmt.Errorf("%d incomplete uploads", count)
	}
	return core.AbortMultipartUpload(ctx, bucket, "m/half", id)
}

func listPages() error {
	for _, folder := range []string{"a", "b", "c"} {
		for n := 0; n < 6; n++ {
			key := fmt.Sprintf("list/%s/%d", folder, n)
			listed = append(listed, key)
			if err := put(key, small, minio.PutObjectOptions{}); err != nil {
				return err
			}
		}
	}
	folders := []string{"list/a/", "list/b/", "list/c/"}
	for _, v1 := range []bool{true, false} {
		if err := lists(minio.ListObjectsOptions{Prefix: "list/", Recursive: true, MaxKeys: 5, UseV1: v1}, listed); err != nil {
			return err
		}
		if err := lists(minio.ListObjectsOptions{Prefix: "list/", UseV1: v1}, folders); err != nil {
			return err
		}
	}
	return nil
}

func copyAndCompose() error {
	source := minio.CopySrcOptions{Bucket: bucket, Object: "a/medium"}
	if _, err := client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "c/1"}, source); err != nil {
		return err
	}
	if err := holds("c/1", medium); err != nil {
		return err
	}
	_, err := client.ComposeObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "c/2"}, minio.CopySrcOptions{Bucket: bucket, Object: "m/unknown"}, source)
	if err != nil {
		return err
	}
	return holds("c/2", append(append([]byte{}, large[:18*mib]...), medium...))
}

func presigned() error {
	getURL, err := client.PresignedGetObject(ctx, bucket, "a/medium", time.Minute, nil)
	if err != nil {
		return err
	}
	answer, err := http.Get(getURL.String())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if err := equal(got, medium); err != nil {
		return err
	}
	putURL, err := client.PresignedPutObject(ctx, bucket, "p/put", time.Minute)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPut, putURL.String(), bytes.NewReader(small))
	if err != nil {
		return err
	}
	written, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer written.Body.Close()
	if written.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT status %d", written.StatusCode)
	}
	return holds("p/put", small)
}

func unicodeKeys() error {
	want := []string{"u/αβ/漢字.bin", "u/🦊", "u/a b+c&d=e?f#g", "u/100%25 sure", "u/it's \"so\"", "u/~!*()"}
	for _, key := range want {
		if err := put(key, []byte(key), minio.PutObjectOptions{}); err != nil {
			return err
		}
		if err := holds(key, []byte(key)); err != nil {
			return err
		}
	}
	sort.Strings(want)
	return lists(minio.ListObjectsOptions{Prefix: "u/", Recursive: true}, want)
}

func tagging() error {
	set, err := tags.NewTags(map[string]string{"team": "blue"}, true)
	if err != nil {
		return err
	}
	if err := client.PutObjectTagging(ctx, bucket, "a/medium", set, minio.PutObjectTaggingOptions{}); err != nil {
		return err
	}
	got, err := client.GetObjectTagging(ctx, bucket, "a/medium", minio.GetObjectTaggingOptions{})
	if err != nil || got.ToMap()["team"] != "blue" {
		return fmt.Errorf("tags %v %v", got, err)
	}
	return nil
}

func badCredentials() error {
	stranger := connect("NOBODYNOBODYNOBODY00", os.Args[3])
	liar := connect(os.Args[2], "wrong")
	_, err := stranger.ListBuckets(ctx)
	if err := refused(err, "InvalidAccessKeyId"); err != nil {
		return err
	}
	_, err = liar.ListBuckets(ctx)
	return refused(err, "SignatureDoesNotMatch")
}

func remove() error {
	if err := client.RemoveObject(ctx, bucket, "c/1", minio.RemoveObjectOptions{}); err != nil {
		return err
	}
	_, err := client.StatObject(ctx, bucket, "c/1", minio.StatObjectOptions{})
	if err := refused(err, "NoSuchKey"); err != nil {
		return err
	}
	return client.RemoveObject(ctx, bucket, "never/was", minio.RemoveObjectOptions{})
}

func removeAll() error {
	if err := refused(client.RemoveBucket(ctx, bucket), "BucketNotEmpty"); err != nil {
		return err
	}
	for failed := range client.RemoveObjects(ctx, bucket, client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}), minio.RemoveObjectsOptions{}) {
		return failed.Err
	}
	return client.RemoveBucket(ctx, bucket)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: minio-go-checks ENDPOINT ACCESS SECRET")
		os.Exit(2)
	}
	client = connect(os.Args[2], os.Args[3])
	bucket = "minio-go-" + hex.EncodeToString(random(5))
	checks := []struct {
		name string
		run  func() error
	}{
		{"bucket-make-exists", bucketMakeExists}, {"put-get-stat", putGetStat}, {"put-empty", putEmpty},
		{"range-as-milvus", rangeAsMilvus}, {"readat-and-seek", readAtAndSeek}, {"missing", missing},
		{"conditional-read", conditionalRead}, {"conditional-write", conditionalWrite}, {"poll-for-block", pollForBlock},
		{"multipart-threads", multipartThreads}, {"multipart-unknown-size", multipartUnknownSize},
		{"multipart-incomplete", multipartIncomplete}, {"close-early", closeEarly}, {"list-pages", listPages},
		{"copy-and-compose", copyAndCompose}, {"presigned", presigned}, {"unicode-keys", unicodeKeys}, {"tagging", tagging},
		{"bad-credentials", badCredentials}, {"remove", remove}, {"remove-all", removeAll},
	}
	failed := 0
	for _, check := range checks {
		if err := check.run(); err != nil {
			failed++
			fmt.Println("FAIL", check.name, "-", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println("PASS", check.name)
	}
	fmt.Printf("minio-go: %d passed, %d failed\n", len(checks)-failed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
