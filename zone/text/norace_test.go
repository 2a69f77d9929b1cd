//go:build !race

package text

const raced = false

func rounds[N int | uint64](n N) N { return n }
