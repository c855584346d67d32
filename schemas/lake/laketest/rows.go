package laketest

import (
	"fmt"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
)

// cell is a column of a row as text; null and absent are "null".
type cell struct{ column, value string }

// checkEventRow compares every column of row i of v with the event that was sent.
func (c *checker) checkEventRow(shard int32, v *columns.View, i int) {
	offset := v.Offset[i]
	if offset >= int64(len(c.log.Shards[shard])) || c.log.Shards[shard][offset].Event == nil {
		return // checkEvents reports an offset that the log does not have
	}
	c.compareCells("events", shard, offset, sentCells(c.log.Shards[shard][offset].Event), storedCells(v, i))
}

// checkChangeRow compares a row of client_changes with the change that was sent.
func (c *checker) checkChangeRow(shard int32, got *lake.Change) {
	if got.Offset >= int64(len(c.log.Shards[shard])) || c.log.Shards[shard][got.Offset].Change == nil {
		return // checkChanges reports an offset that the log does not have
	}
	c.compareCells("client_changes", shard, got.Offset, changeCells(c.log.Shards[shard][got.Offset].Change), changeCells(&got.Change))
}

func (c *checker) compareCells(table string, shard int32, offset int64, want, got []cell) {
	for i, w := range want {
		if got[i].value != w.value {
			c.problemf("%s, shard %d, offset %d: %s is %s, want %s", table, shard, offset, w.column, got[i].value, w.value)
		}
	}
}

// sentCells returns the columns that the row of e must have. It is written by the
// fields of an event alone, so that it shares no mistake with columns.Builder.
func sentCells(e *schemas.Event) []cell {
	x := e.Exception
	if x == nil {
		x = &schemas.Exception{}
	}
	cells := []cell{
		{columns.ProductID, fmt.Sprint(e.Product)},
		{columns.ClientID, fmt.Sprint(e.Client)},
		{columns.Time, fmt.Sprint(e.Time)},
		{columns.Value, pointee(e.Value)},
		{columns.RuntimeMS, pointee(e.RuntimeMS)},
		{columns.Offline, pointee(e.Offline)},
		{columns.Category, pointee(e.Category)},
	}
	for _, text := range []cell{
		{columns.Name, e.Name},
		{columns.SessionID, e.SessionID},
		{columns.RandomID, e.RandomID},
		{columns.AppKey, e.AppKey},
		{columns.AppName, e.AppName},
		{columns.AppVersion, e.AppVersion},
		{columns.ContentLocale, e.ContentLocale},
		{columns.UILocale, e.UILocale},
		{columns.UserAgent, e.UserAgent},
		{columns.IP, e.IP},
		{columns.User, string(e.User)},
		{columns.Client, string(e.ClientProps)},
		{columns.ExceptionClass, x.Class},
		{columns.ExceptionMethod, x.Method},
		{columns.ExceptionMessage, x.Message},
		{columns.ExceptionStack, x.Stack},
		{columns.Properties, string(e.Properties)},
		{columns.ValueText, e.ValueText},
	} {
		cells = append(cells, cell{text.column, textOrNull(text.value)})
	}
	return cells
}

// storedCells returns the same columns of row i of v.
func storedCells(v *columns.View, i int) []cell {
	value, runtime, offline, category := null, null, null, null
	if !v.Value.Null(i) {
		n := v.Value.At(i)
		value = pointee(&n)
	}
	if !v.Runtime.Null(i) {
		runtime = fmt.Sprint(v.Runtime.At(i))
	}
	if !v.Offline.Null(i) {
		offline = fmt.Sprint(v.Offline.At(i))
	}
	if !v.Category.Null(i) {
		category = v.Category.At(i)
	}
	cells := []cell{
		{columns.ProductID, fmt.Sprint(v.Product[i])},
		{columns.ClientID, fmt.Sprint(v.Client[i])},
		{columns.Time, fmt.Sprint(v.TimeMS(i))},
		{columns.Value, value},
		{columns.RuntimeMS, runtime},
		{columns.Offline, offline},
		{columns.Category, category},
	}
	for _, text := range storedTexts(v) {
		cells = append(cells, cell{value: textOrNull(text.At(i))})
	}
	return cells
}

// storedTexts returns the text columns of v in the order of sentCells.
func storedTexts(v *columns.View) []*columns.Strings {
	return []*columns.Strings{
		&v.Name, &v.SessionID, &v.RandomID, &v.AppKey, &v.AppName, &v.AppVersion, &v.ContentLocale, &v.UILocale, &v.UserAgent, &v.IP,
		&v.User, &v.ClientProps, &v.ExceptionClass, &v.ExceptionMethod, &v.ExceptionMessage, &v.ExceptionStack, &v.Properties, &v.ValueText,
	}
}

func changeCells(c *schemas.Change) []cell {
	return []cell{
		{columns.ProductID, fmt.Sprint(c.Product)},
		{columns.ClientID, fmt.Sprint(c.Client)},
		{columns.Time, fmt.Sprint(c.Time)},
		{columns.Kind, string(c.Kind)},
		{columns.Operation, c.Operation},
		{columns.Properties, string(c.Values)},
	}
}

const null = "null"

func textOrNull(text string) string {
	if text == "" {
		return null
	}
	return text
}

func pointee[T any](p *T) string {
	if p == nil {
		return null
	}
	return fmt.Sprint(*p)
}
