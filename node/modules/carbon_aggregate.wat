;; carbon_aggregate: folds a slice of an hourly grid-carbon CSV into one small record per balancing authority.
;;
;; Input: CSV text whose header names at least the columns `ba` and `ci_g_per_kwh` (any order, any others between).
;; Output (little endian; the Rust twin is execution/aggregate.rs):
;;     0  4 bytes  "MCA1"
;;     4  u32      number of entries n
;;     8  u64      lines read (header and empty lines not counted)
;;    16  u64      lines refused as malformed
;;    24  n times 48 bytes, sorted by name:
;;        0  u64  name, first letter in the top byte, padded with zeros
;;        8  u64  hours with a value          16  u64  hours without one (blank)
;;       24  u64  sum of values, mg/kWh       32  u64  smallest (2^64-1 if none)   40  u64  largest (0 if none)
;; Entries of two slices merge by adding counts and sums and taking the outer bounds, in any order.
;; A failure is a negative result: -1 the header lacks a column it needs.
;;
;; Nothing in the input can trap it: a line with another number of fields than the header, a quote, a name that is not 1 to 8
;; printable ASCII letters, a value that is not digits with at most three decimals, or a 65th authority, is counted as refused.
(module
  (memory (export "memory") 1)

  ;; 0..64 constants; 1024..4120 output (24 + 64 * 48); from 8192 on the heap.
  (data (i32.const 0) "ba")
  (data (i32.const 16) "ci_g_per_kwh")
  (data (i32.const 1024) "MCA1")

  (global $heap (mut i32) (i32.const 8192))
  (global $entries (mut i32) (i32.const 0))
  (global $columns (mut i32) (i32.const 0))
  (global $ba_column (mut i32) (i32.const -1))
  (global $ci_column (mut i32) (i32.const -1))
  (global $quoted (mut i32) (i32.const 0)) ;; 1 once a field of the current line held a quote

  ;; Bump allocation: the instance lives for one task, so that nothing is ever freed.
  (func $alloc (export "alloc") (param $len i32) (result i32)
    (local $at i32) (local $pages i32)
    (local.set $at (global.get $heap))
    (if (i32.gt_u (local.get $len) (i32.const 0x40000000)) (then unreachable))
    (global.set $heap
      (i32.and (i32.add (i32.add (local.get $at) (local.get $len)) (i32.const 7)) (i32.const -8)))
    (local.set $pages
      (i32.sub (i32.shr_u (i32.add (global.get $heap) (i32.const 65535)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))))
    (local.get $at))

  ;; First position at or after $at that holds $byte, or $end.
  (func $find (param $at i32) (param $end i32) (param $byte i32) (result i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (br_if $done (i32.eq (i32.load8_u (local.get $at)) (local.get $byte)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $at))

  ;; End of the field that begins at $at; notes a quote on the way.
  (func $field_end (param $at i32) (param $stop i32) (result i32)
    (local $byte i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $stop)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (br_if $done (i32.eq (local.get $byte) (i32.const 44))) ;; ','
        (if (i32.eq (local.get $byte) (i32.const 34)) (then (global.set $quoted (i32.const 1)))) ;; '"'
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $at))

  ;; Where the text of a line ends: before a trailing carriage return.
  (func $trim (param $at i32) (param $end i32) (result i32)
    (if (i32.gt_u (local.get $end) (local.get $at))
      (then
        (if (i32.eq (i32.load8_u (i32.sub (local.get $end) (i32.const 1))) (i32.const 13))
          (then (return (i32.sub (local.get $end) (i32.const 1)))))))
    (local.get $end))

  ;; 1 if the field $at..$stop equals the constant of $len bytes at $text.
  (func $equals (param $at i32) (param $stop i32) (param $text i32) (param $len i32) (result i32)
    (if (i32.ne (i32.sub (local.get $stop) (local.get $at)) (local.get $len)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.eqz (local.get $len)) (then (return (i32.const 1))))
      (local.set $len (i32.sub (local.get $len) (i32.const 1)))
      (br_if $next
        (i32.eq
          (i32.load8_u (i32.add (local.get $at) (local.get $len)))
          (i32.load8_u (i32.add (local.get $text) (local.get $len))))))
    (i32.const 0))

  ;; Learns the columns from the header line.
  (func $header (param $at i32) (param $stop i32)
    (local $end i32) (local $column i32)
    (loop $next
      (local.set $end (call $field_end (local.get $at) (local.get $stop)))
      (if (call $equals (local.get $at) (local.get $end) (i32.const 0) (i32.const 2))
        (then (global.set $ba_column (local.get $column))))
      (if (call $equals (local.get $at) (local.get $end) (i32.const 16) (i32.const 12))
        (then (global.set $ci_column (local.get $column))))
      (local.set $column (i32.add (local.get $column) (i32.const 1)))
      (local.set $at (i32.add (local.get $end) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $end) (local.get $stop))))
    (global.set $columns (local.get $column)))

  ;; A name of 1 to 8 printable ASCII bytes packed so that numbers sort as names do; 0 if it is not one.
  (func $name (param $at i32) (param $stop i32) (result i64)
    (local $byte i32) (local $packed i64) (local $left i32)
    (local.set $left (i32.const 8))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $stop)))
        (if (i32.eqz (local.get $left)) (then (return (i64.const 0))))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.or (i32.le_u (local.get $byte) (i32.const 32)) (i32.ge_u (local.get $byte) (i32.const 127)))
          (then (return (i64.const 0))))
        (local.set $packed
          (i64.or (i64.shl (local.get $packed) (i64.const 8)) (i64.extend_i32_u (local.get $byte))))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i64.shl (local.get $packed) (i64.extend_i32_u (i32.mul (local.get $left) (i32.const 8)))))

  ;; A decimal number in thousandths (g/kWh -> mg/kWh): -2 blank, -1 not a number of at most nine digits and three decimals.
  (func $milli (param $at i32) (param $stop i32) (result i64)
    (local $value i64) (local $digit i32) (local $digits i32) (local $decimals i32)
    (if (i32.ge_u (local.get $at) (local.get $stop)) (then (return (i64.const -2))))
    (block $whole
      (loop $next
        (br_if $whole (i32.ge_u (local.get $at) (local.get $stop)))
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
        (br_if $whole (i32.gt_u (local.get $digit) (i32.const 9)))
        (local.set $digits (i32.add (local.get $digits) (i32.const 1)))
        (if (i32.gt_u (local.get $digits) (i32.const 9)) (then (return (i64.const -1))))
        (local.set $value
          (i64.add (i64.mul (local.get $value) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (if (i32.eqz (local.get $digits)) (then (return (i64.const -1))))
    (if (i32.lt_u (local.get $at) (local.get $stop))
      (then
        (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 46)) (then (return (i64.const -1)))) ;; '.'
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.ge_u (local.get $at) (local.get $stop)) (then (return (i64.const -1))))
        (loop $next
          (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
          (if (i32.gt_u (local.get $digit) (i32.const 9)) (then (return (i64.const -1))))
          (local.set $decimals (i32.add (local.get $decimals) (i32.const 1)))
          (if (i32.gt_u (local.get $decimals) (i32.const 3)) (then (return (i64.const -1))))
          (local.set $value
            (i64.add (i64.mul (local.get $value) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $at) (local.get $stop))))))
    (loop $scale
      (if (i32.lt_u (local.get $decimals) (i32.const 3))
        (then
          (local.set $value (i64.mul (local.get $value) (i64.const 10)))
          (local.set $decimals (i32.add (local.get $decimals) (i32.const 1)))
          (br $scale))))
    (local.get $value))

  ;; The entry of a name, made in its sorted place if there is none; 0 when all 64 are taken.
  (func $entry (param $name i64) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (i32.const 1048))
    (local.set $end (i32.add (i32.const 1048) (i32.mul (global.get $entries) (i32.const 48))))
    (block $place
      (loop $next
        (br_if $place (i32.ge_u (local.get $at) (local.get $end)))
        (if (i64.eq (i64.load (local.get $at)) (local.get $name)) (then (return (local.get $at))))
        (br_if $place (i64.gt_u (i64.load (local.get $at)) (local.get $name)))
        (local.set $at (i32.add (local.get $at) (i32.const 48)))
        (br $next)))
    (if (i32.ge_u (global.get $entries) (i32.const 64)) (then (return (i32.const 0))))
    (memory.copy
      (i32.add (local.get $at) (i32.const 48))
      (local.get $at)
      (i32.sub (local.get $end) (local.get $at)))
    (memory.fill (local.get $at) (i32.const 0) (i32.const 48))
    (i64.store (local.get $at) (local.get $name))
    (i64.store offset=32 (local.get $at) (i64.const -1)) ;; no smallest value yet
    (global.set $entries (i32.add (global.get $entries) (i32.const 1)))
    (local.get $at))

  ;; Adds one to the counter at $at.
  (func $count (param $at i32)
    (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1))))

  ;; One data line: 1 if it was counted, 0 if it must be refused. Nothing is changed before the whole line is understood.
  (func $line (param $at i32) (param $stop i32) (result i32)
    (local $end i32) (local $column i32) (local $name i64) (local $value i64) (local $entry i32)
    (global.set $quoted (i32.const 0))
    (loop $next
      (local.set $end (call $field_end (local.get $at) (local.get $stop)))
      (if (i32.eq (local.get $column) (global.get $ba_column))
        (then (local.set $name (call $name (local.get $at) (local.get $end)))))
      (if (i32.eq (local.get $column) (global.get $ci_column))
        (then (local.set $value (call $milli (local.get $at) (local.get $end)))))
      (local.set $column (i32.add (local.get $column) (i32.const 1)))
      (local.set $at (i32.add (local.get $end) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $end) (local.get $stop))))
    (if (i32.ne (local.get $column) (global.get $columns)) (then (return (i32.const 0))))
    (if (global.get $quoted) (then (return (i32.const 0))))
    (if (i64.eqz (local.get $name)) (then (return (i32.const 0))))
    (if (i64.eq (local.get $value) (i64.const -1)) (then (return (i32.const 0))))
    (local.set $entry (call $entry (local.get $name)))
    (if (i32.eqz (local.get $entry)) (then (return (i32.const 0))))
    (if (i64.eq (local.get $value) (i64.const -2))
      (then (call $count (i32.add (local.get $entry) (i32.const 16))))
      (else
        (call $count (i32.add (local.get $entry) (i32.const 8)))
        (i64.store offset=24 (local.get $entry)
          (i64.add (i64.load offset=24 (local.get $entry)) (local.get $value)))
        (if (i64.lt_u (local.get $value) (i64.load offset=32 (local.get $entry)))
          (then (i64.store offset=32 (local.get $entry) (local.get $value))))
        (if (i64.gt_u (local.get $value) (i64.load offset=40 (local.get $entry)))
          (then (i64.store offset=40 (local.get $entry) (local.get $value))))))
    (i32.const 1))

  (func $run (export "run") (param $at i32) (param $len i32) (result i64)
    (local $end i32) (local $line_end i32) (local $stop i32)
    (local.set $end (i32.add (local.get $at) (local.get $len)))
    (local.set $line_end (call $find (local.get $at) (local.get $end) (i32.const 10)))
    (call $header (local.get $at) (call $trim (local.get $at) (local.get $line_end)))
    (if (i32.or (i32.lt_s (global.get $ba_column) (i32.const 0)) (i32.lt_s (global.get $ci_column) (i32.const 0)))
      (then (return (i64.const -1))))
    (block $done
      (loop $next
        (local.set $at (i32.add (local.get $line_end) (i32.const 1)))
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $line_end (call $find (local.get $at) (local.get $end) (i32.const 10)))
        (local.set $stop (call $trim (local.get $at) (local.get $line_end)))
        (br_if $next (i32.eq (local.get $at) (local.get $stop))) ;; an empty line is nothing
        (call $count (i32.const 1032))
        (br_if $next (call $line (local.get $at) (local.get $stop)))
        (call $count (i32.const 1040))
        (br $next)))
    (i32.store (i32.const 1028) (global.get $entries))
    ;; Packed result: where the output begins, and how long it is.
    (i64.or
      (i64.const 0x0000040000000000)
      (i64.extend_i32_u (i32.add (i32.const 24) (i32.mul (global.get $entries) (i32.const 48)))))))
