package query

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"weir/schemas"
	"weir/schemas/registry"
)

// Cookies of contract 4.
const (
	cookieCsrf    = "RUI-Csrf"
	cookieSession = "RUI-Session-Token"
)

// requestCsrf gives the cookie that a login must bring.
func (s *Service) requestCsrf(w http.ResponseWriter, r *http.Request) error {
	s.setCookie(w, r, cookieCsrf, rand.Text())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// login begins a session. A login without the CSRF cookie is refused and given
// it, so that who just tries again gets through: a page of somebody else cannot
// send the cookie, as it is SameSite, and so cannot log a browser in. Which
// cookie it is does not matter.
func (s *Service) login(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(cookieCsrf); err != nil || c.Value == "" {
		s.setCookie(w, r, cookieCsrf, rand.Text())
		return &schemas.RequestError{Status: http.StatusBadRequest, Code: codeCookieMissing, Detail: "Cookie Missing"}
	}
	var body struct {
		UserName *string `json:"userName"`
		Password *string `json:"password"`
	}
	if err := s.readBody(w, r, &body); err != nil {
		return err
	}
	if body.UserName == nil {
		return badField("userName", "is missing")
	}
	if body.Password == nil {
		return badField("password", "is missing")
	}
	who, err := s.basic.authenticate(r, *body.UserName, *body.Password)
	if err != nil {
		return wrongLogin(err)
	}
	return s.beginSession(w, r, who)
}

// wrongLogin words a refusal as this door does.
func wrongLogin(err error) error {
	refused, ok := errors.AsType[*schemas.RequestError](err)
	if ok && refused.Status == http.StatusUnauthorized {
		return &schemas.RequestError{Status: http.StatusUnauthorized, Code: "unauthorized", Detail: "userName or password is wrong"}
	}
	return err
}

func (s *Service) beginSession(w http.ResponseWriter, r *http.Request, who registry.Principal) error {
	profile, err := s.deps.Registry.Profile(r.Context(), who.User)
	if err != nil {
		return err
	}
	session, err := s.deps.Registry.NewSession(r.Context(), who.User)
	if err != nil {
		return err
	}
	s.setCookie(w, r, cookieCsrf, session.Csrf)
	s.setCookie(w, r, cookieSession, session.ID)
	return s.writeAnswer(w, accountDocument(profile))
}

// document is the body that answers a login. The contract shows the names of
// its members, all of them objects, and nothing of what is in them.
type document struct {
	Account      accountPart            `json:"account"`
	Customer     accountPart            `json:"customer"` // the business that pays: with us the account
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
// of its user. So does a second logout with the same cookie. Any other body
// means nothing.
func (s *Service) logout(w http.ResponseWriter, r *http.Request) error {
	c, err := r.Cookie(cookieSession)
	if err != nil {
		return noSession()
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	if late, ok := isLate(err); ok {
		return late
	}
	if err != nil {
		return badField("body", "cannot be read")
	}
	var body struct {
		All bool `json:"all"`
	}
	if json.Unmarshal(text, &body) != nil {
		body.All = false
	}
	err = s.deps.Registry.Logout(r.Context(), c.Value, body.All)
	if errors.Is(err, registry.ErrUnauthorized) {
		return noSession()
	}
	if err != nil {
		return err
	}
	s.dropCookie(w, r, cookieSession)
	s.dropCookie(w, r, cookieCsrf)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// session is whose session r belongs to. The cookie alone counts; Basic
// credentials that stand beside it are not looked at.
func (s *Service) session(r *http.Request) (registry.Principal, error) {
	c, err := r.Cookie(cookieSession)
	if err != nil {
		return registry.Principal{}, noSession()
	}
	who, err := s.deps.Registry.Session(r.Context(), c.Value)
	if errors.Is(err, registry.ErrUnauthorized) {
		return registry.Principal{}, noSession()
	}
	return who, err
}

func noSession() error {
	return &schemas.RequestError{
		Status: http.StatusUnauthorized, Code: "unauthorized", Detail: cookieSession + ": there is no such session, log in first",
	}
}

// setCookie sets a cookie that lives as long as the browser. Only the session
// is hidden from scripts: the other one is there to be read.
func (s *Service) setCookie(w http.ResponseWriter, r *http.Request, name, value string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where the client speaks https, HttpOnly where it is a secret
		Name: name, Value: value, Path: "/", HttpOnly: name == cookieSession, Secure: s.https(r), SameSite: http.SameSiteLaxMode,
	})
}

func (s *Service) dropCookie(w http.ResponseWriter, r *http.Request, name string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // as it was set
		Name: name, Path: "/", HttpOnly: name == cookieSession, Secure: s.https(r), SameSite: http.SameSiteLaxMode, MaxAge: -1,
	})
}

// https says whether the client speaks https, to us or to a proxy that we are
// told to believe.
func (s *Service) https(r *http.Request) bool {
	return r.TLS != nil || s.cfg.TrustProxy && r.Header.Get("X-Forwarded-Proto") == "https"
}
