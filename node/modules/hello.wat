;; hello: answers "hello, " followed by its input. The smallest complete task module; copy it to begin your own.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "hello, ")
  (global $heap (mut i32) (i32.const 64))

  ;; The host asks for room, writes the input there and calls run.
  (func $alloc (export "alloc") (param $len i32) (result i32)
    (local $at i32) (local $pages i32)
    (local.set $at (global.get $heap))
    (if (i32.gt_u (local.get $len) (i32.const 0x40000000)) (then unreachable))
    (global.set $heap (i32.add (local.get $at) (local.get $len)))
    (local.set $pages
      (i32.sub (i32.shr_u (i32.add (global.get $heap) (i32.const 65535)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))))
    (local.get $at))

  ;; Returns (pointer << 32) | length of the answer.
  (func (export "run") (param $at i32) (param $len i32) (result i64)
    (local $out i32)
    (local.set $out (call $alloc (i32.add (local.get $len) (i32.const 7))))
    (memory.copy (local.get $out) (i32.const 0) (i32.const 7))
    (memory.copy (i32.add (local.get $out) (i32.const 7)) (local.get $at) (local.get $len))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $out)) (i64.const 32))
      (i64.extend_i32_u (i32.add (local.get $len) (i32.const 7))))))
