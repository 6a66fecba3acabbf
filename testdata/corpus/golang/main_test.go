package main

import "testing"

func TestItHolds(t *testing.T) {
	if built != "" {
		t.Fatal(built)
	}
}
