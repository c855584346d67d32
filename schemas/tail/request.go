package tail

import (
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
)

func encodeRequest(req Request) ([]byte, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode tail request: %w", err)
	}
	return body, nil
}

func decodeRequest(r io.Reader) (Request, error) {
	var req Request
	if err := json.UnmarshalRead(r, &req); err != nil {
		return Request{}, fmt.Errorf("decode tail request: %w", err)
	}
	return req, nil
}
