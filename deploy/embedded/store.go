package embedded

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"

	"weir/deploy/conns"
	"weir/schemas/objects"
)

const (
	storeStart   = 10 * time.Second // to listen
	maxConns     = 4096             // concurrent connections and requests; the clients are our own services
	ioBuffer     = 256 << 10        // bytes per running put or get
	copyLimit    = 5 << 30          // bytes of one copied object: S3's own limit; 0 would refuse every copy
	maxParts     = 10_000           // parts of a multipart upload: S3's own limit
	blockingCall = 64               // concurrent file operations, each of which may block a thread
)

// store is one S3 server on loopback over a folder of plain files.
type store struct {
	dir          string // data folder
	clientConfig objects.Config
	failed       chan error // receives the error when the server ends without close
	stop         context.CancelFunc
	ended        chan struct{}
}

// startStore serves the objects folder and returns once the server listens.
func startStore(ctx context.Context, cfg Config) (*store, error) {
	port, err := loopbackPort(cfg.ListenS3)
	if err != nil {
		return nil, fmt.Errorf("address of the embedded store: %w", err)
	}
	keys, err := storeKeys(filepath.Join(cfg.Dir, keysFile))
	if err != nil {
		return nil, err
	}
	s, err := startStoreAt(ctx, cfg, keys, port)
	if err != nil {
		return nil, fmt.Errorf("start the embedded store on %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func startStoreAt(ctx context.Context, cfg Config, keys rootKeys, port int) (*store, error) {
	files, err := openFiles(cfg.Dir)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	// The server does not end with ctx: the processor writes its last cut after that.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &store{
		dir: cfg.Dir,
		clientConfig: objects.Config{
			Endpoint: "http://" + l.Addr().String(), AccessKey: keys.Access, SecretKey: keys.Secret, PathStyle: true,
		},
		failed: make(chan error, 1),
		stop:   stop,
		ended:  make(chan struct{}),
	}
	gateway := gateway{keys: keys, listens: make(chan struct{}), app: make(chan *fiber.App, 1)}
	go func() {
		defer close(s.ended)
		s.fail(running, fmt.Errorf("embedded store ended by itself: %w", cmp.Or(gateway.run(running, files), io.EOF)))
	}()
	if err := s.serve(ctx, running, &gateway, cfg.Conns.Raw(conns.Store, l)); err != nil {
		_ = l.Close() // nobody has it
		s.close()
		return nil, err
	}
	return s, nil
}

// serve lets the gateway serve connections of l too.
func (s *store) serve(ctx, running context.Context, g *gateway, l net.Listener) error {
	ctx, cancel := context.WithTimeout(ctx, storeStart)
	defer cancel()
	select {
	case <-g.listens:
	case err := <-s.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for it to listen: %w", ctx.Err())
	}
	app, err := g.reach(ctx)
	if err != nil {
		return err
	}
	go func() {
		// The gateway closes l when it ends, and waits for its connections.
		s.fail(running, fmt.Errorf("embedded store accepts no more connections: %w", cmp.Or(app.Server().Serve(l), io.EOF)))
	}()
	return nil
}

// fail tells that the store has ended, unless close was called.
func (s *store) fail(running context.Context, err error) {
	if running.Err() != nil {
		return
	}
	select {
	case s.failed <- err:
	default: // told already
	}
}

func (s *store) close() {
	s.stop()
	<-s.ended
}

// openFiles opens the objects folder. Metadata is stored in extended attributes,
// or in the sidecar folder on file systems without them. A folder that has a
// sidecar keeps using it.
func openFiles(dir string) (backend.Backend, error) {
	root, side := filepath.Join(dir, objectsFolder), filepath.Join(dir, sidecarFolder)
	if err := makeFolder(root); err != nil {
		return nil, err
	}
	if err := removeEmptyBuckets(root); err != nil {
		return nil, err
	}
	opts := posix.PosixOpts{
		CopyObjectThreshold: copyLimit,
		Concurrency:         blockingCall,
		IOBufferSize:        ioBuffer,
		ForceNoObjLockFile:  true, // only one process writes
	}
	var attributes meta.MetadataStorer = meta.XattrMeta{}
	if _, err := os.Stat(side); err == nil || !supportsXattrs(root) {
		if err := makeFolder(side); err != nil {
			return nil, err
		}
		if attributes, err = meta.NewSideCar(side); err != nil {
			return nil, fmt.Errorf("open %s: %w", side, err)
		}
		opts.SideCarDir = side
	}
	files, err := posix.New(root, attributes, opts)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", root, err)
	}
	return durableStore{Posix: files, root: root}, nil
}

// supportsXattrs reports whether the file system stores user attributes, by
// writing one.
func supportsXattrs(root string) bool {
	const name = "weir.probe"
	x := meta.XattrMeta{}
	if err := x.StoreAttribute(nil, root, "", name, []byte("1")); err != nil {
		return false
	}
	return x.DeleteAttribute(root, "", name) == nil
}

// removeEmptyBuckets removes buckets without objects. A process that is killed
// while it creates a bucket leaves a folder without attributes, which the library
// neither serves nor replaces. Services create missing buckets at their start.
func removeEmptyBuckets(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return fmt.Errorf("read %s: %w", root, err)
	}
	for _, e := range entries {
		bucket := filepath.Join(root, e.Name())
		if inside, err := os.ReadDir(bucket); err != nil || len(inside) > 0 {
			continue
		}
		if err := os.Remove(bucket); err != nil {
			return fmt.Errorf("remove empty bucket %s: %w", bucket, err)
		}
	}
	return nil
}

// rootKeys are the access keys of the store. They are generated at the first
// start and stored in the data folder, with mode 0600.
type rootKeys struct {
	Access string `json:"access_key"`
	Secret string `json:"secret_key"`
}

func storeKeys(path string) (rootKeys, error) {
	return fileOnce(path, func() rootKeys { return rootKeys{Access: "weir" + randomHex(8), Secret: randomHex(32)} })
}

// fileOnce returns the content of a JSON file of secrets. Where there is none it
// writes what generate returns, for the owner of the folder alone.
func fileOnce[T any](path string, generate func() T) (T, error) {
	var content T
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the folder
	if err == nil {
		if err := json.Unmarshal(text, &content); err != nil {
			return content, fmt.Errorf("read %s: %w", path, err)
		}
		return content, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return content, fmt.Errorf("read %s: %w", path, err)
	}
	content = generate()
	if text, err = json.Marshal(content); err != nil {
		return content, fmt.Errorf("write %s: %w", path, err)
	}
	return content, WriteFile(path, text, 0o600)
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
