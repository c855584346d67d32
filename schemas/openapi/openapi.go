// Package openapi holds the OpenAPI 3.1 documents of the published contracts,
// and a page made from them.
//
// The documents are written by hand, one a contract, for whoever writes a
// client. openapitest holds them to the code: the tests of ingest and query
// check every exchange against them.
//
// It needs nothing, and fails only if a document that is built in is broken,
// which a test would have shown.
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

// Document is the description of one contract.
type Document struct {
	Name string // of its files, without ending
	YAML []byte // as it was written
	JSON []byte // the same for programs

	root *yaml.Node
}

// Documents returns all documents, in the order of the contracts.
func Documents() ([]Document, error) {
	var docs []Document
	for _, name := range []string{"event-report", "user-events", "analytics-events", "reporting"} {
		text, err := files.ReadFile(name + ".yaml")
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

// Handler serves the page at /openapi/ and the documents at /openapi/NAME.yaml
// and /openapi/NAME.json, to anybody.
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
	return mux, nil
}

// serveStatic serves what changes with the binary only.
func serveStatic(contentType string, body []byte) http.Handler {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache") // ask, and be told that it is the same
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}
