package tail

import (
	"fmt"
	"io"

	"github.com/go-json-experiment/json"

	"weir/schemas/lake"
)

// wireRequest is a Request as JSON. What is nil stays away, and what is empty
// goes as such: in a filter the two differ.
type wireRequest struct {
	From    map[int32]int64   `json:"from"`
	Rows    map[int32][]int64 `json:"rows,omitzero"`
	Filter  wireFilter        `json:"filter,omitzero"`
	Columns []string          `json:"columns,omitzero"`
	Changes bool              `json:"changes,omitzero"`
}

// wireFilter has the fields of lake.Filter, in the same order.
type wireFilter struct {
	Products    []int64         `json:"products,omitzero"`
	Clients     []int64         `json:"clients,omitzero"`
	TimeFrom    int64           `json:"time_from,omitzero"`
	TimeTo      int64           `json:"time_to,omitzero"`
	ArrivalFrom int64           `json:"arrival_from,omitzero"`
	ArrivalTo   int64           `json:"arrival_to,omitzero"`
	Shard       *int32          `json:"shard,omitzero"`
	OffsetFrom  map[int32]int64 `json:"offset_from,omitzero"`
	OffsetTo    map[int32]int64 `json:"offset_to,omitzero"`
}

func encodeRequest(req Request) ([]byte, error) {
	body, err := json.Marshal(wireRequest{
		From: req.From, Rows: req.Rows, Filter: wireFilter(req.Filter), Columns: req.Columns, Changes: req.Changes,
	})
	if err != nil {
		return nil, fmt.Errorf("encode tail request: %w", err)
	}
	return body, nil
}

func decodeRequest(r io.Reader) (Request, error) {
	var w wireRequest
	if err := json.UnmarshalRead(r, &w); err != nil {
		return Request{}, fmt.Errorf("decode tail request: %w", err)
	}
	return Request{From: w.From, Rows: w.Rows, Filter: lake.Filter(w.Filter), Columns: w.Columns, Changes: w.Changes}, nil
}
