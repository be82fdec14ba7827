# Sends a mail with an attachment as a program with Perl's Net::SMTP does.
use strict;
use warnings FATAL => 'all';
use MIME::Base64 qw(encode_base64);
use Net::SMTP;

open(my $file, '<:raw', $ENV{MAIL_FILE}) or die $!;
my $attachment = do { local $/; <$file> };
my $smtp = Net::SMTP->new($ENV{SMTP_HOST}, Port => $ENV{SMTP_PORT}, Hello => 'client.example', Timeout => 20)
    or die "no connection: $@";

sub must { die join(' ', @_, $smtp->code, $smtp->message) if !shift }
must($smtp->starttls(SSL_ca_file => $ENV{SSL_CERT_FILE}, SSL_verify_mode => 1), 'STARTTLS') if $ENV{SMTP_STARTTLS};
must($smtp->auth($ENV{SMTP_USER}, $ENV{SMTP_PASSWORD}), 'AUTH') if $ENV{SMTP_USER};
must($smtp->mail($ENV{MAIL_FROM}), 'MAIL');
must($smtp->to($ENV{MAIL_TO}), 'RCPT');
must($smtp->data(), 'DATA');
must($smtp->datasend(<<"END"), 'content');
From: $ENV{MAIL_FROM}
To: $ENV{MAIL_TO}
Subject: From Net::SMTP
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b

See the attachment.
.
--b
Content-Type: application/octet-stream; name="plans.bin"
Content-Disposition: attachment; filename="plans.bin"
Content-Transfer-Encoding: base64

END
must($smtp->datasend(encode_base64($attachment)), 'content');
must($smtp->datasend("--b--\n"), 'content');
must($smtp->dataend(), 'the end');
must($smtp->quit(), 'QUIT');
