// SPDX-License-Identifier: Apache-2.0

// The peer: oauth2.ReuseTokenSource, which is how programs in Go keep a token fresh. It takes rounds
// as bench/rounds.h says: "NAME NUMBER" lines in, nanoseconds out.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

const calls = 2000000

func token(life time.Duration) *oauth2.Token {
	return &oauth2.Token{AccessToken: "token", Expiry: time.Now().Add(life)}
}

func die(why interface{}) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

// A valid token, so many goroutines at once: nanoseconds a call and goroutine.
func valid(goroutines int) float64 {
	source := oauth2.ReuseTokenSource(token(time.Hour), nil)
	start := make(chan struct{})
	taken := make([]time.Duration, goroutines)
	var all sync.WaitGroup
	for i := range taken {
		all.Add(1)
		go func(taken *time.Duration) {
			defer all.Done()
			<-start
			began := time.Now()
			for n := 0; n < calls; n++ {
				if _, err := source.Token(); err != nil {
					die(err)
				}
			}
			*taken = time.Since(began)
		}(&taken[i])
	}
	close(start)
	all.Wait()
	var sum time.Duration
	for _, one := range taken {
		sum += one
	}
	return float64(sum.Nanoseconds()) / float64(goroutines) / calls
}

// Brings a token when all callers have begun.
type held struct {
	callers  int64
	begun    atomic.Int64
	asked    int
	returned time.Time
}

func (h *held) Token() (*oauth2.Token, error) {
	h.asked++
	for h.begun.Load() < h.callers {
		time.Sleep(time.Millisecond)
	}
	// Until they have come as far as the mutex.
	time.Sleep(50 * time.Millisecond)
	t := token(time.Hour)
	h.returned = time.Now()
	return t, nil
}

// An expired token, so many goroutines: from the new token to the last of them released.
func herd(goroutines int) float64 {
	under := &held{callers: int64(goroutines)}
	source := oauth2.ReuseTokenSource(token(-time.Hour), under)
	var released atomic.Int64
	last := make(chan time.Time)
	for i := 0; i < goroutines; i++ {
		go func() {
			under.begun.Add(1)
			if _, err := source.Token(); err != nil {
				die(err)
			}
			if released.Add(1) == int64(goroutines) {
				last <- time.Now()
			}
		}()
	}
	end := <-last
	if under.asked != 1 {
		die("it was not exactly one refresh")
	}
	return float64(end.Sub(under.returned).Nanoseconds())
}

func main() {
	rounds := map[string]func(int) float64{"valid": valid, "herd": herd}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var name string
		var number int
		if _, err := fmt.Sscan(lines.Text(), &name, &number); err != nil || rounds[name] == nil {
			die("no such round: " + lines.Text())
		}
		fmt.Printf("%.2f\n", rounds[name](number))
	}
}
