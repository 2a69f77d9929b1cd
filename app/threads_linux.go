package app

// sharesCores is whether UDP workers are threads, of which an address has one for
// each core.
const sharesCores = true
