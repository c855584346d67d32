package embedded

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

// gatewaySocket is where the gateway listens by itself, from its start until reach has
// removed the file. The path is relative to the store's folder, which is the working
// directory by then: a longer one may not fit into the address of a socket.
const gatewaySocket = "../store.sock"

// gatewayPath is a path that cannot be a bucket.
const gatewayPath = "/.weir-app"

// gateway is versitygw. It makes its listeners itself, and their loops of Accept end
// at any error, such as a moment without a free descriptor. So it gets a socket that
// nobody knows, is asked once for its server, and that serves a listener of ours.
type gateway struct {
	keys    rootKeys
	listens chan struct{}
	app     chan *fiber.App
}

// run serves until ctx ends.
func (g *gateway) run(ctx context.Context, files backend.Backend) error {
	return embedgw.RunVersityGW(ctx, files, &embedgw.Config{
		RootUserAccess: g.keys.Access, RootUserSecret: g.keys.Secret,
		IAMService:     oneUser{auth.NewIAMServiceSingle(auth.Account{Access: g.keys.Access, Secret: g.keys.Secret, Role: auth.RoleAdmin})},
		Ports:          []string{gatewaySocket},
		SocketPerm:     "0600",
		MaxConnections: maxConns, MaxRequests: maxConns,
		MultipartMaxParts: maxParts,
		Quiet:             true,
		KeepAlive:         true,
		DisableACLs:       true,
		S3Options: []s3api.Option{
			s3api.WithOnListen(func() { close(g.listens) }),
			s3api.WithRoute(http.MethodGet, gatewayPath, func(c fiber.Ctx) error {
				select {
				case g.app <- c.App():
				default: // reach has it
				}
				return c.SendStatus(http.StatusNotFound)
			}),
		},
	})
}

// reach returns the server of a gateway that listens, and removes the way to it.
func (g *gateway) reach(ctx context.Context) (*fiber.App, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", gatewaySocket)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://store"+gatewayPath, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("reach the gateway: %w", err)
	}
	_ = resp.Body.Close() // it says nothing
	if err := os.Remove(gatewaySocket); err != nil {
		return nil, err
	}
	select {
	case app := <-g.app:
		return app, nil
	default:
		return nil, fmt.Errorf("the gateway does not know %s", gatewayPath)
	}
}

// oneUser knows the root keys only.
type oneUser struct{ auth.IAMService }

// GetUserAccount says of an unknown key what makes the answer S3's 403
// InvalidAccessKeyId. The error of the service below is a 404.
func (u oneUser) GetUserAccount(access string) (auth.Account, error) {
	account, err := u.IAMService.GetUserAccount(access)
	if err != nil {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return account, nil
}
