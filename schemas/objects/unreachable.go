package objects

import (
	"context"
	"errors"
	"net"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Unreachable says whether err means that the store does not answer just now
// and may in a moment: no connection, none in time, or an answer that asks to
// come again.
func Unreachable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if answer, ok := errors.AsType[*awshttp.ResponseError](err); ok && answer.Response != nil {
		code := answer.HTTPStatusCode()
		return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}
