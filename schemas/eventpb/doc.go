// Package eventpb defines the Kafka record of the topic `events`: event.proto and
// the code generated from it. Package topic encodes and decodes records by hand; its
// tests compare it with the generated code.
package eventpb

//go:generate protoc --proto_path=. --go_out=. --go_opt=paths=source_relative event.proto
