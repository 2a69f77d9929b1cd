//go:build !race

package lua

const raced = false
