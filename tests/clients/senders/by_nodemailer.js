// Sends a mail with an attachment as a program with nodemailer does.
const { createTransport } = require("nodemailer");

const env = process.env;
const transport = createTransport({
    host: env.SMTP_HOST,
    port: Number(env.SMTP_PORT),
    name: "client.example",
    secure: false,
    requireTLS: Boolean(env.SMTP_STARTTLS),
    auth: env.SMTP_USER ? { user: env.SMTP_USER, pass: env.SMTP_PASSWORD } : undefined,
});
transport
    .sendMail({
        from: env.MAIL_FROM,
        to: env.MAIL_TO,
        subject: "From nodemailer",
        text: "See the attachment.\n",
        attachments: [{ filename: "plans.bin", path: env.MAIL_FILE, contentType: "application/octet-stream" }],
    })
    .finally(() => transport.close());
