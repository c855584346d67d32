// Package openapi contains the OpenAPI 3.1 documents of the four APIs
// (Ingestion, User Events, Events, Reporting) and of the endpoints that are our
// own, and renders a reference page from them.
//
// The documents are written by hand for people who write a client. Package
// openapitest keeps them and the code in step: the tests of ingest and query
// check every request and response against them.
//
// The package has no dependencies at run time. It fails only if an embedded
// document is malformed, which its tests would show.
package openapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"gopkg.in/yaml.v3"
)

//go:embed *.yaml
var files embed.FS

// Document describes one API.
type Document struct {
	Name string // last element of its URL, without extension; also prefixes its anchors on the page
	YAML []byte // as it was written
	JSON []byte // the same document for programs

	root *yaml.Node
}

// Documents returns all documents in the order in which the page shows them.
//
// Files are named after the API. The URLs of two documents are older than these
// names and stay as they are, because clients were generated from them.
func Documents() ([]Document, error) {
	var docs []Document
	for _, d := range []struct{ file, name string }{
		{"ingestion.yaml", "event-report"},
		{"user-events.yaml", "user-events"},
		{"events.yaml", "analytics-events"},
		{"reporting.yaml", "reporting"},
		{"weir.yaml", "weir"},
	} {
		name := d.name
		text, err := files.ReadFile(d.file)
		if err != nil {
			return nil, err
		}
		var file yaml.Node
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		doc := Document{Name: name, YAML: text, root: file.Content[0]}
		if doc.JSON, err = toJSON(doc.root); err != nil {
			return nil, fmt.Errorf("convert %s: %w", name, err)
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// Handler serves the page at /openapi/, the documents at /openapi/NAME.yaml and
// /openapi/NAME.json, and the collection of Postman at /openapi/postman.json,
// without authentication. Everything is rendered once, when
// Handler is called.
func Handler() (http.Handler, error) {
	docs, err := Documents()
	if err != nil {
		return nil, err
	}
	page, err := renderPage(docs)
	if err != nil {
		return nil, fmt.Errorf("make the page: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /openapi/{$}", serveStatic("text/html; charset=utf-8", page))
	for _, doc := range docs {
		mux.Handle("GET /openapi/"+doc.Name+".yaml", serveStatic("application/yaml", doc.YAML))
		mux.Handle("GET /openapi/"+doc.Name+".json", serveStatic("application/json", doc.JSON))
	}
	collection, err := Postman()
	if err != nil {
		return nil, fmt.Errorf("make the Postman collection: %w", err)
	}
	mux.Handle("GET /openapi/postman.json", serveStatic("application/json", collection))
	return mux, nil
}

// serveStatic serves a body that changes only with the binary.
func serveStatic(contentType string, body []byte) http.Handler {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache") // browsers revalidate, and get a 304 until the binary changes
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}
