//go:build !race

package simulate_test

const raced = false

func rounds[N int | uint64](n N) N { return n }
