package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/schemas/objects"
)

func TestPutAndGet(t *testing.T) {
	ctx, b := t.Context(), bucket(t, "things")
	want := []byte(strings.Repeat("0123456789", 1000))
	if err := b.Put(ctx, "a/b/one", want); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(ctx, "a/b/one"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("get: %d bytes, %v; want the %d put", len(got), err, len(want))
	}
	if got, err := b.GetRange(ctx, "a/b/one", 13, 4); err != nil || string(got) != "3456" {
		t.Errorf("range = %q, %v; want 3456", got, err)
	}
	if size, err := b.Stat(ctx, "a/b/one"); err != nil || size != int64(len(want)) {
		t.Errorf("stat = %d, %v; want %d", size, err, len(want))
	}
	if err := b.Put(ctx, "a/b/empty", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(ctx, "a/b/empty"); err != nil || len(got) != 0 {
		t.Errorf("get of an empty object = %q, %v", got, err)
	}
	plain, err := os.ReadFile(filepath.Join(parts.store.dir, objectsFolder, "things", "a/b/one"))
	if err != nil || !bytes.Equal(plain, want) {
		t.Errorf("plain file: %d bytes, %v; want the object itself", len(plain), err)
	}
}

func TestMissingObjectIsErrNotExist(t *testing.T) {
	ctx, b := t.Context(), bucket(t, "missing")
	_, getErr := b.Get(ctx, "no/such")
	_, rangeErr := b.GetRange(ctx, "no/such", 0, 1)
	_, statErr := b.Stat(ctx, "no/such")
	for what, err := range map[string]error{"get": getErr, "range": rangeErr, "stat": statErr} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of a missing object: %v, want fs.ErrNotExist", what, err)
		}
	}
	if err := b.Delete(ctx, "no/such"); err != nil {
		t.Errorf("delete of a missing object: %v", err)
	}
	if err := b.Delete(ctx, "no/such", "nor/this"); err != nil {
		t.Errorf("delete of two missing objects: %v", err)
	}
}

func TestListIsOrderedAndDeleteTakesMany(t *testing.T) {
	ctx, b := t.Context(), bucket(t, "many")
	// Files that are written to the folder are objects too; this is faster than
	// 1,100 puts.
	folder := filepath.Join(parts.store.dir, objectsFolder, "many", "p")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 1100 { // more than a page, more than one delete call takes
		name := fmt.Sprintf("%04d", i)
		want = append(want, "p/"+name)
		if err := os.WriteFile(filepath.Join(folder, name), []byte{1}, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Put(ctx, "q/other", nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for o, err := range b.List(ctx, "p/") {
		if err != nil {
			t.Fatal(err)
		}
		if o.Size != 1 || time.Since(o.Modified) > time.Hour {
			t.Fatalf("listed %+v, want size 1 and a time of today", o)
		}
		got = append(got, o.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %d keys, want the %d put, ordered", len(got), len(want))
	}
	if err := b.Delete(ctx, want...); err != nil {
		t.Fatal(err)
	}
	for o := range b.List(ctx, "p/") {
		t.Fatalf("%s is still there", o.Key)
	}
}

func TestUploadStoresAllBytes(t *testing.T) {
	ctx, b := t.Context(), bucket(t, "uploads")
	for _, size := range []int64{0, 10, 8 << 20, 20<<20 + 7} {
		key := fmt.Sprintf("u/%d.zip", size)
		n, err := b.Upload(ctx, key, randomBytes(size))
		if err != nil || n != size {
			t.Fatalf("upload %d bytes: %d, %v", size, n, err)
		}
		got, err := b.Get(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := io.ReadAll(randomBytes(size)); !bytes.Equal(got, want) {
			t.Errorf("%d bytes uploaded were read back differently", size)
		}
	}
}

func TestFailedUploadLeavesNoObject(t *testing.T) {
	ctx, b := t.Context(), bucket(t, "uploads")
	errRead := errors.New("scan said no")
	_, err := b.Upload(ctx, "u/broken.zip", io.MultiReader(randomBytes(20<<20), failingReader{errRead}))
	if !errors.Is(err, errRead) {
		t.Fatalf("upload: %v, want %v", err, errRead)
	}
	if _, err := b.Stat(ctx, "u/broken.zip"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of a broken upload: %v, want fs.ErrNotExist", err)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// randomBytes returns a reader of n incompressible bytes, always the same.
func randomBytes(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

func TestPresignedLinkFailsWhenAlteredOrExpired(t *testing.T) {
	ctx, b := t.Context(), bucket(t, "links")
	if err := b.Put(ctx, "1001/day.zip", []byte("zip")); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(ctx, "1002/day.zip", []byte("another's")); err != nil {
		t.Fatal(err)
	}
	link, err := b.Presign(ctx, objects.PresignInput{Key: "1001/day.zip", FileName: "day.zip", TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	check := func(link string, status int, body string) {
		t.Helper()
		resp, err := http.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != status || (body != "" && string(got) != body) {
			t.Errorf("%s: %d %q, want %d %q", link, resp.StatusCode, got, status, body)
		}
		if cd := resp.Header.Get("Content-Disposition"); status == 200 && !strings.Contains(cd, "day.zip") {
			t.Errorf("Content-Disposition = %q, want the file name", cd)
		}
	}
	check(link, 200, "zip")
	check(strings.Replace(link, "1001", "1002", 1), 403, "")
	check(strings.Replace(link, "X-Amz-Expires=1", "X-Amz-Expires=9", 1), 403, "")
	check(strings.SplitN(link, "?", 2)[0], 403, "")
	time.Sleep(2100 * time.Millisecond) // the store's clock is the real one
	check(link, 403, "")
}

func TestStoreKeysAreGeneratedOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), keysFile)
	first, err := storeKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := storeKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if first != second || len(first.Secret) < 32 {
		t.Errorf("keys changed or are short: %d and %d characters", len(first.Secret), len(second.Secret))
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode of %s = %v, want 0600", path, info.Mode().Perm())
	}
}

func TestEmptyBucketIsRemovedAtStart(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"half", "whole/inside"} {
		if err := os.MkdirAll(filepath.Join(root, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeEmptyBuckets(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "half")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty bucket: %v, want it gone", err)
	}
	if _, err := os.Stat(filepath.Join(root, "whole")); err != nil {
		t.Errorf("bucket with files: %v, want it left alone", err)
	}
}

// TestStrangersOfTheStore: whoever is not signed in with the store's keys gets
// S3's answers, and none of an object.
func TestStrangersOfTheStore(t *testing.T) {
	b := bucket(t, "strange")
	if err := b.Put(t.Context(), "secret", []byte("of an account")); err != nil {
		t.Fatal(err)
	}
	ask := func(c objects.Config) error {
		client, err := objects.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_, err = client.Bucket("strange").Get(t.Context(), "secret")
		return err
	}
	unknown, wrong := parts.S3, parts.S3
	unknown.AccessKey, wrong.SecretKey = "AKIAIOSFODNN7EXAMPLE", "wrong"
	for name, c := range map[string]struct {
		cfg  objects.Config
		code string
	}{"unknown key": {unknown, "InvalidAccessKeyId"}, "wrong secret": {wrong, "SignatureDoesNotMatch"}} {
		err := ask(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.code) || !strings.Contains(err.Error(), "403") {
			t.Errorf("%s: %v, want 403 %s", name, err, c.code)
		}
	}
	for _, path := range []string{"/", "/strange", "/strange/secret", "/strange/secret?X-Amz-Signature=x", "/strange/secret?AWSAccessKeyId=x&Signature=y&Expires=9"} {
		resp, err := http.Get(parts.S3.Endpoint + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode < 400 || resp.StatusCode >= 500 || bytes.Contains(text, []byte("of an account")) {
			t.Errorf("%s without a signature: %d %s, %v", path, resp.StatusCode, text, err)
		}
	}
}
