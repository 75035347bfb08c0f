//! Bytes of a file or stream, with the count of the lines that have been read.

use std::io::{BufRead, ErrorKind, Read, Result};

/// How many bytes are read at once.
const BLOCK: usize = 1 << 16;
/// How far one looks ahead.
const AHEAD: usize = 1 << 20;

/// Buffered input that counts lines. A line ends with LF, CR LF or CR.
pub(crate) struct Source {
    inner: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The part of the buffer that has not been taken yet.
    start: usize,
    end: usize,
    ended: bool,
    /// Bytes and ends of lines that were taken.
    bytes: u64,
    lines: u64,
    /// Whether the last byte taken was a CR: an LF after it ends no other line.
    after_cr: bool,
}

impl Source {
    pub(crate) fn new(inner: Box<dyn Read + Send>) -> Self {
        Self::at(inner, 0, 1)
    }

    /// Input that begins at this byte of a file, which is the beginning of the line `line`.
    pub(crate) fn at(inner: Box<dyn Read + Send>, bytes: u64, line: u64) -> Self {
        let lines = line.saturating_sub(1);
        Self { inner, buffer: vec![0; BLOCK], start: 0, end: 0, ended: false, bytes, lines, after_cr: false }
    }

    /// The bytes that have been read and not been taken.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The line of the next byte, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.lines + 1
    }

    /// The position of the next byte.
    pub(crate) fn byte(&self) -> u64 {
        self.bytes
    }

    /// Reads on, behind what is buffered; false at the end of the input. This is where one waits for a slow writer.
    pub(crate) fn fill(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.start > 0 && (self.start == self.end || self.end == self.buffer.len()) {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    self.ended = n == 0;
                    return Ok(n > 0);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Reads on until what is buffered is enough, or as much as one looks ahead, or the input ends.
    pub(crate) fn look(&mut self, enough: impl Fn(&[u8]) -> bool) -> Result<()> {
        while !enough(self.buffered()) && self.buffered().len() < AHEAD && self.fill()? {}
        Ok(())
    }

    /// Takes `n` of the buffered bytes.
    #[inline]
    pub(crate) fn advance(&mut self, n: usize) {
        let taken = &self.buffer[self.start..self.start + n];
        let Some(last) = taken.last() else { return };
        for at in memchr::memchr2_iter(b'\n', b'\r', taken) {
            let follows_cr = if at == 0 { self.after_cr } else { taken[at - 1] == b'\r' };
            self.lines += u64::from(taken[at] == b'\r' || !follows_cr);
        }
        self.after_cr = *last == b'\r';
        self.bytes += n as u64;
        self.start += n;
    }

    /// Takes what is left of the line and its end.
    pub(crate) fn skip_line(&mut self) -> Result<()> {
        loop {
            if let Some(at) = memchr::memchr2(b'\n', b'\r', self.buffered()) {
                let is_cr = self.buffered()[at] == b'\r';
                self.advance(at + 1);
                if is_cr && (!self.buffered().is_empty() || self.fill()?) && self.buffered()[0] == b'\n' {
                    self.advance(1);
                }
                return Ok(());
            }
            self.advance(self.end - self.start);
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Reads on until so many lines are buffered that are neither blank nor comments, or as many as there are.
    pub(crate) fn look_lines(&mut self, count: usize, comment: Option<u8>) -> Result<Vec<&[u8]>> {
        self.look(|buffered| complete_lines(buffered, comment, false).len() >= count)?;
        Ok(complete_lines(self.buffered(), comment, self.ended))
    }
}

/// The lines without those that are blank or comments. The last one may go on beyond the buffer: it is none of them unless the input ends
/// with it, or it is longer than one looks ahead.
fn complete_lines(buffered: &[u8], comment: Option<u8>, ended: bool) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = buffered.split(|b| matches!(b, b'\n' | b'\r')).collect();
    if !ended && buffered.len() < AHEAD {
        lines.pop();
    }
    lines.retain(|line| !line.is_empty() && line.first().copied() != comment);
    lines
}

/// For decoders of compressed input, whose bytes are no lines.
impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.start == self.end {
            self.fill()?;
        }
        Ok(self.buffered())
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow(std::io::Cursor<Vec<u8>>, usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let n = buffer.len().min(self.1);
            self.0.read(&mut buffer[..n])
        }
    }

    #[test]
    fn lines_end_with_lf_cr_lf_and_cr_however_the_bytes_arrive() {
        let text = b"a\nb\r\nc\rd\n\ne\r\n\r\nf\r\rg";
        // The line of each byte, counted by hand; a line ends with its first CR or LF.
        let lines = [1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6, 6, 7, 7, 8, 8, 8, 9, 10];
        for step in [1, 2, 3, 100] {
            let mut source = Source::new(Box::new(Slow(std::io::Cursor::new(text.to_vec()), step)));
            let mut found = Vec::new();
            while !source.buffered().is_empty() || source.fill().unwrap() {
                found.push(source.line());
                source.advance(1);
            }
            assert_eq!(found, lines, "{step}");
            let mut source = Source::new(Box::new(Slow(std::io::Cursor::new(text.to_vec()), step)));
            let mut begins = Vec::new();
            while !source.buffered().is_empty() || source.fill().unwrap() {
                begins.push((source.line(), source.byte(), source.buffered()[0]));
                source.skip_line().unwrap();
            }
            let expected =
                [(1, 0, b'a'), (2, 2, b'b'), (3, 5, b'c'), (4, 7, b'd'), (5, 9, b'\n'), (6, 10, b'e'), (7, 13, b'\r')];
            assert_eq!(begins[..7], expected, "{step}");
            assert_eq!(begins[7..], [(8, 15, b'f'), (9, 17, b'\r'), (10, 18, b'g')], "{step}");
        }
    }
}
