package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/deploy/embedded"
	"weir/schemas/registry"
)

const (
	demoProduct = 1000
	demoEmail   = "demo@example.com"
	demoCreated = "demo.made" // registry setting that ends the first start
)

// demo is the content of demo.json: the account that the first start makes, with
// its credentials.
type demo struct {
	URL      string `json:"url"`
	Account  string `json:"account_id"`
	Product  string `json:"product_id"`
	Key      string `json:"key"` // of the data source
	Secret   string `json:"secret"`
	Token    string `json:"token"` // bearer
	Email    string `json:"email"` // of the user
	Password string `json:"password"`
}

// ensureDemo makes the demo account at the first start of a folder and returns
// it. Later it returns nil and only updates the URL in demo.json. The file is
// written before the setting that ends the first start: secrets are stored only
// as hashes, so a start that is killed in between must make new ones.
func ensureDemo(ctx context.Context, reg *registry.Registry, dir, url string) (*demo, error) {
	_, err := reg.Setting(ctx, demoCreated)
	if err == nil {
		return nil, updateDemoURL(dir, url)
	}
	if !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	d, err := createDemo(ctx, reg)
	if err != nil {
		return nil, err
	}
	d.URL = url
	if err := writeDemo(dir, d); err != nil {
		return nil, err
	}
	if _, err := reg.SettingOnce(ctx, demoCreated, "yes"); err != nil {
		return nil, err
	}
	return &d, nil
}

// createDemo makes the demo account or completes one of a start that was killed.
// It makes new credentials each time, since the old ones are not known.
func createDemo(ctx context.Context, reg *registry.Registry) (demo, error) {
	account, err := demoAccount(ctx, reg)
	if err != nil {
		return demo{}, err
	}
	d := demo{Account: account, Product: fmt.Sprint(demoProduct), Email: demoEmail, Password: randomText(12)}
	source, secret, err := reg.CreateSource(ctx, registry.Source{Product: demoProduct, Name: "demo"})
	if err != nil {
		return d, err
	}
	d.Key, d.Secret = source.Key, secret
	if _, d.Token, err = reg.CreateToken(ctx, registry.Token{Account: account, Name: "demo"}); err != nil {
		return d, err
	}
	if err := reg.RevokeUser(ctx, demoEmail); err != nil && !errors.Is(err, registry.ErrNotFound) {
		return d, err // left by a start that was killed before it wrote demo.json
	}
	_, err = reg.CreateUser(ctx, registry.User{Account: account, Email: d.Email}, d.Password)
	return d, err
}

// demoAccount returns the account of the demo product and creates both if they do
// not exist.
func demoAccount(ctx context.Context, reg *registry.Registry) (string, error) {
	product, err := reg.Product(ctx, demoProduct)
	if err == nil {
		return product.Account, nil
	}
	if !errors.Is(err, registry.ErrNotFound) {
		return "", err
	}
	account, err := reg.CreateAccount(ctx, "Demo")
	if err != nil {
		return "", err
	}
	_, err = reg.CreateProduct(ctx, registry.Product{ID: demoProduct, Account: account.ID, Name: "Demo"})
	return account.ID, err
}

// writeDemo writes demo.json, readable by its owner only.
func writeDemo(dir string, d demo) error {
	text, err := json.MarshalIndent(d, "", "  ") //nolint:gosec // keeping the secrets is what the file is for
	if err != nil {
		return err
	}
	return embedded.WriteFile(filepath.Join(dir, demoFile), append(text, '\n'), 0o600)
}

// updateDemoURL writes the URL of this start into demo.json. It does not create
// the file: an operator may have deleted it because of the secrets.
func updateDemoURL(dir, url string) error {
	text, err := readFolderFile(dir, demoFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var d demo
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("read %s: %w", demoFile, err)
	}
	if d.URL == url {
		return nil
	}
	d.URL = url
	return writeDemo(dir, d)
}

// banner returns commands that send a first event and request a first report. On
// a terminal they contain the secrets. Elsewhere the output may be stored, so
// the commands read the secrets from demo.json.
func (d *demo) banner(dir string, terminal bool) string {
	path := filepath.Join(dir, demoFile)
	text := bannerText
	show := *d
	if !terminal {
		text = "demo() { sed -n 's/^  \"'$1'\": \"\\(.*\\)\",\\{0,1\\}$/\\1/p' '" + path + "'; }\n" + text
		show.Key, show.Secret, show.Token = "$(demo key)", "$(demo secret)", "$(demo token)"
		show.Email, show.Password = "'$(demo email)'", "'$(demo password)'"
	}
	return "\n" + strings.NewReplacer(
		"URL", d.URL, "PRODUCT", d.Product, "KEY", show.Key, "SECRET", show.Secret, "TOKEN", show.Token,
		"EMAIL", show.Email, "PASSWORD", show.Password,
	).Replace(text) + "\nThese are kept in " + path + ", readable by you alone, and not shown again.\n"
}

const bannerText = `# send an event to the Ingestion API: 200 means it is on disk
curl -u "KEY:SECRET" -H 'Content-Type: application/json' URL/v1/event/report -d '{"data":[
  {"euid":10000091198,"event_name":"sign_up","itime":'$(date +%s000)',"properties":{"plan":"pro"}}]}'

# list the events of today by the Events API: the event is there within a second
sleep 1; curl -H "Authorization: Bearer TOKEN" -H 'Content-Type: application/json' URL/analytics/api/v1/events \
  -d '{"startDate":"'$(date -u +%F)'"}'

# log in to the Reporting API, and count the active clients of the last days
curl -s -c weir.cookies URL/v3/request-csrf
curl -s -b weir.cookies -c weir.cookies -H 'Content-Type: application/json' URL/v3/auth/web \
  -d '{"userName":"EMAIL","password":"PASSWORD"}'
curl -s -b weir.cookies -H 'Content-Type: application/json' URL/v3/reporting/generic/dateRange/PRODUCT \
  -d '{"startDate":"NOW-6","stopDate":"NOW","dateSplit":"day","clientStatus":["new","active"]}'

# download today's events as a zipped CSV
curl -s -b weir.cookies -H 'Content-Type: application/json' URL/v3/rawEvents/download/getDownloadUrl/PRODUCT \
  -d '{"fileName":"PRODUCT_'$(date -u +%F)'.zip"}' | sed 's/.*"downloadUrl": *"\([^"]*\)".*/\1/' | xargs curl -s -o events.zip
unzip -p events.zip
`

// demoHint returns where the credentials of the first start are, or "" when
// demo.json was deleted.
func demoHint(dir, url string) string {
	path := filepath.Join(dir, demoFile)
	if _, err := os.Stat(path); err != nil { //nolint:gosec // the operator names the folder
		return ""
	}
	return fmt.Sprintf("the credentials of the demo account are in %s; README.md has example requests for %s\n", path, url)
}
