package openapi

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gopkg.in/yaml.v3"
)

// Postman returns a Postman collection of the Reporting API, format v2.1: the
// folders and requests of postman.yaml, with the texts of reporting.yaml. Played in
// order it logs in, asks for everything and logs out.
//
// It fails if postman.yaml has a request that reporting.yaml has not.
func Postman() ([]byte, error) {
	docs, err := Documents()
	if err != nil {
		return nil, err
	}
	text, err := files.ReadFile("postman.yaml")
	if err != nil {
		return nil, err
	}
	var file yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("parse postman.yaml: %w", err)
	}
	c := postmanCollection{Info: postmanInfo{
		Name:        "Weir: Reporting API",
		Description: "Set the variables base_url, product_id, username and password of this collection, then send the requests of the folder Auth first.",
		Schema:      "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
	}}
	c.setVariables()
	for folder := range items(file.Content[0]) {
		f := postmanFolder{Name: lookupText(folder, "folder")}
		for request := range items(lookup(folder, "requests")) {
			item, err := postmanItemOf(docs, request)
			if err != nil {
				return nil, err
			}
			f.Item = append(f.Item, item)
		}
		c.Item = append(c.Item, f)
	}
	return json.Marshal(c, jsontext.WithIndent("  "))
}

// postmanCollection has the members of the format that we use.
type postmanCollection struct {
	Info     postmanInfo       `json:"info"`
	Item     []postmanFolder   `json:"item"`
	Event    []postmanEvent    `json:"event"`
	Variable []postmanVariable `json:"variable"`
}

type postmanInfo struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Schema      string `json:"schema"`
}

type postmanFolder struct {
	Name string        `json:"name"`
	Item []postmanItem `json:"item"`
}

type postmanItem struct {
	Name     string         `json:"name"`
	Request  postmanRequest `json:"request"`
	Response []struct{}     `json:"response"` // required by Postman; examples, of which we have none
}

type postmanRequest struct {
	Method      string            `json:"method"`
	Header      []postmanVariable `json:"header"`
	Body        *postmanBody      `json:"body,omitzero"`
	URL         postmanURL        `json:"url"`
	Description string            `json:"description"`
}

type postmanBody struct {
	Mode    string `json:"mode"`
	Raw     string `json:"raw"`
	Options struct {
		Raw struct {
			Language string `json:"language"`
		} `json:"raw"`
	} `json:"options"`
}

type postmanURL struct {
	Raw  string   `json:"raw"`
	Host []string `json:"host"`
	Path []string `json:"path"`
}

type postmanEvent struct {
	Listen string        `json:"listen"`
	Script postmanScript `json:"script"`
}

type postmanScript struct {
	Type string   `json:"type"`
	Exec []string `json:"exec"`
}

// postmanVariable is also a header.
type postmanVariable struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// setVariables adds the variables that requests use. {{today}} is the UTC day of
// the request: the file of that day is always there.
func (c *postmanCollection) setVariables() {
	c.Variable = []postmanVariable{{"base_url", "http://127.0.0.1:8080"}, {"product_id", "1000"}, {"username", ""}, {"password", ""}, {"today", ""}}
	c.Event = []postmanEvent{{"prerequest", postmanScript{
		"text/javascript", []string{`pm.collectionVariables.set("today", new Date().toISOString().slice(0, 10));`},
	}}}
}

// postmanItemOf makes a request of postman.yaml an item of the collection.
func postmanItemOf(docs []Document, of *yaml.Node) (postmanItem, error) {
	method, path := lookupText(of, "method"), lookupText(of, "path")
	operation := operationOf(docs, path, strings.ToLower(method))
	if operation == nil {
		return postmanItem{}, fmt.Errorf("postman.yaml has %s %s, which no document has", method, path)
	}
	item := postmanItem{Name: lookupText(of, "name"), Response: []struct{}{}}
	filled := strings.ReplaceAll(path, "{product_id}", "{{product_id}}")
	item.Request = postmanRequest{
		Method: method,
		Header: []postmanVariable{{"RUI-Client", "Postman"}, {"RUI-Client-Version", "0.0.1"}},
		URL: postmanURL{
			Raw: "{{base_url}}" + filled, Host: []string{"{{base_url}}"}, Path: strings.Split(strings.TrimPrefix(filled, "/"), "/"),
		},
		Description: strings.TrimSpace(lookupText(operation, "summary") + ".\n\n" + lookupText(operation, "description")),
	}
	if body := lookup(of, "body"); body != nil {
		item.Request.Header = append(item.Request.Header, postmanVariable{"Content-Type", "application/json"})
		item.Request.Body = &postmanBody{Mode: "raw", Raw: indentJSON(body)}
		item.Request.Body.Options.Raw.Language = "json"
	}
	return item, nil
}

// operationOf returns an operation of the Reporting API; nil if there is none.
func operationOf(docs []Document, path, method string) *yaml.Node {
	for _, doc := range docs {
		if doc.Name == "reporting" {
			return lookup(doc.root, "paths", path, method)
		}
	}
	return nil
}
