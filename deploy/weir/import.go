package main

import (
	"context"
	"errors"
)

const helpImport = "usage: weir import\n"

func runImport(_ context.Context, _ *process, _ []string) error { return errors.New("not built yet") }
