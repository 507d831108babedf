;; Texts, a collection of garbage, and a child.
(let ((texts nil))
  (dotimes (i 30000) (push (make-string 20 ?x) texts))
  (garbage-collect)
  (princ (length texts)))
(princ (shell-command-to-string "echo spawned"))
