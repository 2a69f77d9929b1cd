//go:build !race

package mouth

const raced = false
