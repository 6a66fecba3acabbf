;;; own.el --- a library  -*- lexical-binding: t -*-
;;; Commentary:
;;; Code:
(defun own-around (text)
  "Turn TEXT around."
  (concat (nreverse (string-to-list text))))
(provide 'own)
;;; own.el ends here
