package query

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/clientaddr"
	"weir/schemas/registry"
)

// Cookies of the Reporting API.
const (
	cookieCsrf    = "RUI-Csrf"
	cookieSession = "RUI-Session-Token"
)

// sessions answers the login paths of the Reporting API, and lets requests
// through that have a session.
type sessions struct {
	responder
	registry  *registry.Registry
	passwords *passwords
	proxies   clientaddr.Proxies // see Config.Proxies
}

// productQuestion is a question about one product, by a user who may see it.
type productQuestion struct {
	product   registry.Product
	watermark view.Watermark // that was sent back; the answer includes at least that
}

// withProduct lets requests through whose session may see the product of the
// path.
func (s *sessions) withProduct(answer func(http.ResponseWriter, *http.Request, productQuestion) error) answerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		principal, err := s.authenticate(r)
		if err != nil {
			return err
		}
		product, err := s.product(r, principal)
		if err != nil {
			return err
		}
		want, err := requestedWatermark(r)
		if err != nil {
			return err
		}
		large, err := s.beginQuestion(r, product.Account)
		if err != nil {
			return err
		}
		defer large.Release()
		return answer(w, r, productQuestion{product: product, watermark: want})
	}
}

// product returns the product that the path names: 404 if there is none, 403 if
// the user may not see it.
func (s *sessions) product(r *http.Request, principal registry.Principal) (registry.Product, error) {
	text := r.PathValue("product_id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != text {
		return registry.Product{}, badField("product_id", strconv.Quote(text)+" is not a product id")
	}
	product, err := s.registry.Product(r.Context(), id)
	if errors.Is(err, registry.ErrNotFound) {
		return registry.Product{}, notFound("product_id: there is no product " + text)
	}
	if err != nil {
		return registry.Product{}, err
	}
	if !principal.May(id) {
		return registry.Product{}, &schemas.RequestError{
			Status: http.StatusForbidden, Code: "forbidden", Detail: "product_id: no permission for product " + text,
		}
	}
	return product, nil
}

// authenticate returns the user of r's session. Only the cookie counts; Basic
// credentials beside it are ignored. A browser may send a stale cookie of another
// path or domain before the valid one, so each is tried.
func (s *sessions) authenticate(r *http.Request) (principal registry.Principal, err error) {
	ctx := r.Context()
	err = eachSession(r, func(id string) error {
		principal, err = s.registry.Session(ctx, id)
		return err
	})
	return principal, err
}

// maxSessionCookies bounds the session cookies of a request that are tried.
const maxSessionCookies = 8

// eachSession calls try with the session cookies of r, until one is a session.
func eachSession(r *http.Request, try func(id string) error) error {
	cookies := r.CookiesNamed(cookieSession)
	for _, c := range cookies[:min(len(cookies), maxSessionCookies)] {
		if err := try(c.Value); !errors.Is(err, registry.ErrUnauthorized) {
			return err
		}
	}
	return noSession()
}

// noSession is the same 401 for a missing, an unknown and an ended session.
func noSession() error {
	return &schemas.RequestError{
		Status: http.StatusUnauthorized, Code: "unauthorized", Detail: cookieSession + ": there is no such session, log in first",
	}
}

// requestCsrf sets the cookie that a login must bring.
func (s *sessions) requestCsrf(w http.ResponseWriter, r *http.Request) error {
	s.setCookie(w, r, cookieCsrf, rand.Text())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// login begins a session. A login without the CSRF cookie is refused, and the
// refusal sets the cookie, so that a client that just retries gets through. A
// page of another site cannot send the cookie, because it is SameSite, and so
// cannot log a browser in. The value of the cookie does not matter.
func (s *sessions) login(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(cookieCsrf); err != nil || c.Value == "" {
		s.setCookie(w, r, cookieCsrf, rand.Text())
		return &schemas.RequestError{Status: http.StatusBadRequest, Code: codeCookieMissing, Detail: "Cookie Missing"}
	}
	var body struct {
		UserName *string `json:"userName"`
		Password *string `json:"password"`
	}
	if err := s.ofStrangers().readBody(w, r, &body); err != nil {
		return err
	}
	if body.UserName == nil {
		return badField("userName", "is missing")
	}
	if body.Password == nil {
		return badField("password", "is missing")
	}
	principal, err := s.passwords.authenticate(r, *body.UserName, *body.Password)
	if err != nil {
		return loginError(err)
	}
	s.setDevice(w, r, *body.UserName)
	return s.beginSession(w, r, principal)
}

// loginError replaces the text of a 401, which is about tokens, by that of the
// login.
func loginError(err error) error {
	refused, ok := errors.AsType[*schemas.RequestError](err)
	if ok && refused.Status == http.StatusUnauthorized {
		return &schemas.RequestError{Status: http.StatusUnauthorized, Code: "unauthorized", Detail: "userName or password is wrong"}
	}
	return err
}

// beginSession stores a new session and sets its cookies. The profile is read first,
// so that an error leaves no session that nobody knows.
func (s *sessions) beginSession(w http.ResponseWriter, r *http.Request, principal registry.Principal) error {
	profile, err := s.registry.Profile(r.Context(), principal.User)
	if err != nil {
		return err
	}
	session, err := s.registry.NewSession(r.Context(), principal.User)
	if err != nil {
		return err
	}
	s.setCookie(w, r, cookieCsrf, session.Csrf)
	s.setCookie(w, r, cookieSession, session.ID)
	return s.writeAnswer(r.Context(), w, accountDocument(profile))
}

// document is the body that answers a login. The published API shows the names
// of its members, all of them objects, and not what is in them.
type document struct {
	Account      accountPart            `json:"account"`
	Customer     accountPart            `json:"customer"` // the business that pays; here it is the account
	Freeware     struct{}               `json:"freeware"`
	Products     map[string]productPart `json:"products"` // by id
	UserSettings userPart               `json:"userSettings"`
}

type accountPart struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type productPart struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type userPart struct {
	ID       string `json:"id"`
	UserName string `json:"userName"`
	TimeZone string `json:"timeZone"`
}

// accountDocument lists the products that the user may see.
func accountDocument(p registry.Profile) document {
	account := accountPart{ID: p.Account.ID, Name: p.Account.Name}
	doc := document{
		Account: account, Customer: account, Products: map[string]productPart{},
		UserSettings: userPart{ID: p.User.ID, UserName: p.User.Email, TimeZone: "UTC"},
	}
	for _, product := range p.Products {
		id := strconv.FormatInt(product.ID, 10)
		doc.Products[id] = productPart{ID: id, Name: product.Name}
	}
	return doc
}

// logout ends the session of the cookie, and with {"all": true} every session
// of its user. So does a second logout with the same cookie. Any other body is
// ignored, unless its all is no boolean.
func (s *sessions) logout(w http.ResponseWriter, r *http.Request) error {
	if len(r.CookiesNamed(cookieSession)) == 0 {
		return noSession()
	}
	text, err := io.ReadAll(s.ofStrangers().body(w, r))
	if late, ok := lateBody(err); ok {
		return late
	}
	if err != nil {
		return badField("body", "cannot be read")
	}
	all, err := logoutOfAll(text)
	if err != nil {
		return err
	}
	err = eachSession(r, func(id string) error { return s.registry.Logout(r.Context(), id, all) })
	if err != nil {
		return err
	}
	s.dropCookie(w, r, cookieSession)
	s.dropCookie(w, r, cookieCsrf)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// logoutOfAll reads the body of a logout. What is no JSON object, and every other
// member, is ignored: the public client sends its password.
func logoutOfAll(text []byte) (bool, error) {
	switch kind := memberAll(text).Kind(); kind {
	case 't', 'f':
		return kind == 't', nil
	case 0, 'n':
		return false, nil
	default:
		return false, badField("all", "must be true or false")
	}
}

// memberAll returns the member of that name; nil if there is none.
func memberAll(text []byte) jsontext.Value {
	var body struct {
		All jsontext.Value `json:"all"`
	}
	if json.Unmarshal(text, &body) != nil {
		return nil
	}
	return body.All
}

// setCookie sets a cookie that lasts until the browser ends. Only the session is
// hidden from scripts, which need to read the other one.
func (s *sessions) setCookie(w http.ResponseWriter, r *http.Request, name, value string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where the client speaks https, HttpOnly where it is a secret
		Name: name, Value: value, Path: "/", HttpOnly: name == cookieSession, Secure: overHTTPS(r, s.proxies), SameSite: http.SameSiteLaxMode,
	})
}

func (s *sessions) dropCookie(w http.ResponseWriter, r *http.Request, name string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // as it was set
		Name: name, Path: "/", HttpOnly: name == cookieSession, Secure: overHTTPS(r, s.proxies), SameSite: http.SameSiteLaxMode, MaxAge: -1,
	})
}

// overHTTPS reports whether the client used https, to this server or to a proxy
// that it trusts.
func overHTTPS(r *http.Request, proxies clientaddr.Proxies) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" && proxies.Trusts(r)
}
